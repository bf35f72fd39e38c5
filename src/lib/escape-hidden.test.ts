import { expect, test } from "vitest";
import { escapeHidden, escapeHiddenText } from "./escape-hidden.ts";

test.each([
  ["bidi override", "a\u202eb", "a\\u{202e}b"],
  ["zero width", "a\u200bb", "a\\u{200b}b"],
  ["tag characters", "a\u{e0041}", "a\\u{e0041}"],
  ["variation selectors that carry bytes", "a\u{e0100}", "a\\u{e0100}"],
  ["terminal escapes", "\u001b[31m\u0007\u009b", "\\u{1b}[31m\\u{7}\\u{9b}"],
  ["carriage returns", "a\rb", "a\\u{d}b"],
  ["lone surrogates", "\ud800", "\\u{d800}"],
])("makes %s visible", (_name, text, shown) => {
  expect(escapeHidden(text)).toBe(shown);
});

test("leaves what people read as it is", () => {
  const text = "Grüße, 日本語, ❤️\n\tdone";
  expect(escapeHidden(text)).toBe(text);
});

test("reaches member names and nested values, and bounds length and depth", () => {
  expect(escapeHidden({ "a\u200b": [{ b: "\u200b" }], n: 1, t: true, z: null })).toEqual({
    "a\\u{200b}": [{ b: "\\u{200b}" }],
    n: 1,
    t: true,
    z: null,
  });
  expect(String(escapeHidden("x".repeat(100_000)))).toHaveLength(65_537);
  let deep: unknown = "x";
  for (let level = 0; level < 1_000; level += 1) deep = [deep];
  expect(JSON.stringify(escapeHidden(deep)).length).toBeLessThan(200);
});

test("cuts a text where it is told to", () => {
  expect(escapeHiddenText("x".repeat(50), 10)).toBe(`${"x".repeat(10)}…`);
});
