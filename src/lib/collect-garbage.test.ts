import { once } from "node:events";
import { Worker } from "node:worker_threads";
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

test("does nothing, and harms nothing, where another thread takes the flag back at the same time", async () => {
  const other = new Worker(
    `const { setFlagsFromString } = require("node:v8");
    require("node:worker_threads").parentPort.postMessage("runs");
    for (;;) setFlagsFromString("--no-expose-gc");`,
    { eval: true },
  );
  await once(other, "message");
  // In a thread too, as the SQLite workers do: this one may hold what many files of tests have left.
  const collecting = new Worker(
    `import(${JSON.stringify(new URL("./collect-garbage.ts", import.meta.url).href)}).then(({ collectGarbage }) => {
      for (let round = 0; round < 20; round += 1) collectGarbage();
    });`,
    { eval: true },
  );
  try {
    expect(await once(collecting, "exit")).toEqual([0]);
  } finally {
    await other.terminate();
  }
});
