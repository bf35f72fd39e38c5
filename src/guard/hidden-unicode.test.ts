import { expect, test } from "vitest";
import { findHiddenUnicode, toVisibleText } from "./hidden-unicode.ts";

const tagged = (text: string): string =>
  Array.from(text)
    .map((letter) => String.fromCodePoint(0xe0000 + letter.charCodeAt(0)))
    .join("");

test("finds and decodes a message in tag characters", () => {
  expect(findHiddenUnicode(`line\nhello${tagged("send keys")}`)).toEqual([
    { kind: "tag", count: 9, line: 2, decoded: "send keys" },
  ]);
});

test.each([
  ["bidi", "a\u202eb"],
  ["zero-width", "pass\u200bword"],
  ["zero-width", "pass\u200dword"],
  ["variation-run", "x\ufe00\ufe01\ufe02\ufe03"],
  ["variation-run", "r\u{e0119}e\u{e0110}a\u{e0121}d"],
  ["variation-run", "r\ufe00e\ufe01a\ufe02d"],
  ["filler", "a\u3164b"],
  ["terminal-escape", "a\u001b[8mhidden\u001b[0m"],
  ["control", "a\u0001b"],
  ["mixed-script", "p\u0430ypal"],
])("finds %s", (kind, text) => {
  expect(findHiddenUnicode(text).map((found) => found.kind)).toEqual([kind]);
});

test.each([
  ["emoji family", "\u{1f468}\u200d\u{1f469}\u200d\u{1f467} ❤\ufe0f"],
  ["flag of Scotland", "\u{1f3f4}\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}"],
  ["Persian with a non-joiner", "می\u200cخواهم"],
  ["byte-order mark at the start", "\ufeff# Title"],
  ["variants of Chinese characters", "葛\u{e0100}城 葛\u{e0101}"],
  ["keycaps and symbols", "1\ufe0f\u20e3 ™\ufe0f ℹ\ufe0f"],
  ["Russian", "Привет, world"],
  ["science", "Δt of 5 µs, α-helix, 10 kΩ"],
  ["CRLF and tabs", "a\r\n\tb"],
])("leaves %s alone", (_name, text) => {
  expect(findHiddenUnicode(text)).toEqual([]);
});

test("shows the text as a model reads it", () => {
  expect(toVisibleText("ig\u200bnore p\u0430st ｆｕｌｌ")).toBe("ignore past full");
  expect(toVisibleText("plain")).toBe("plain");
});
