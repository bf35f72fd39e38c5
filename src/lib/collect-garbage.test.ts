import { expect, test } from "vitest";
import { collectGarbage } from "./collect-garbage.ts";

test("lets go of what nothing holds, and leaves no way to collect behind", () => {
  const gone = new WeakRef({ of: "a start" });
  return new Promise<void>((resolve) => setTimeout(resolve, 1)).then(() => {
    collectGarbage();
    expect(gone.deref()).toBeUndefined();
    expect("gc" in globalThis).toBe(false);
  });
});
