import { expect, test } from "vitest";
import { toSafeText } from "./safe-text.ts";

test("escapes control, bidi, zero-width and tag characters", () => {
  expect(toSafeText("a\u001b[31m\u202eb\u200b\u{e0041}\n", 100)).toBe(
    "a\\u{1b}[31m\\u{202e}b\\u{200b}\\u{e0041}\\u{a}",
  );
});

test("cuts long text and leaves ordinary text alone", () => {
  expect(toSafeText("grüße 世界 😀", 100)).toBe("grüße 世界 😀");
  expect(toSafeText("x".repeat(50), 10)).toBe(`${"x".repeat(10)}…`);
});
