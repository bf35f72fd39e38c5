import { expect, test } from "vitest";
import { escapeHidden, escapeHiddenText, toVisibleJson } from "./escape-hidden.ts";

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
  let deep: unknown = "x";
  for (let level = 0; level < 1_000; level += 1) deep = [deep];
  expect(JSON.stringify(escapeHidden(deep)).length).toBeLessThan(250);
});

test("says what it leaves out, and leaves out nothing that fits", () => {
  const whole = "x".repeat(65_536);
  expect(escapeHidden([whole])).toEqual([whole]);
  expect(escapeHidden([`${whole}yz`])).toEqual([`${whole}…[2 more characters are left out here]`]);
  let deep: unknown = "x";
  for (let level = 0; level < 65; level += 1) deep = [deep];
  expect(JSON.stringify(escapeHidden(deep))).toContain("…[what lies deeper than 64 levels is left out here]");
});

test("writes JSON that shows what hides and parses to the same", () => {
  const value = { "a\u200b": ["\u202e\u{e0041}\ud800\r\n\t", "❤️ 日本語", "y".repeat(70_000), "\\u200b"] };
  const text = toVisibleJson(value);
  expect(text).not.toMatch(/[\u200b\u202e\u{e0041}\r\t]/u);
  expect(text).toContain("❤️ 日本語");
  expect(JSON.parse(text)).toEqual(value);
});

test("cuts a text where it is told to", () => {
  expect(escapeHiddenText("x".repeat(50), 10)).toBe(`${"x".repeat(10)}…`);
});
