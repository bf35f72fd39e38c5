import { assert, json, property } from "fast-check";
import { expect, test } from "vitest";
import { AppError } from "./errors.ts";
import { parseStrictJson } from "./strict-json.ts";

test.each([
  ['{"a":1,"a":2}'],
  ['{"a":1,"\\u0061":2}'],
  ['{"x":[{"a":1},{"b":{"c":1,"c":1}}]}'],
  ["[".repeat(65) + "]".repeat(65)],
  ["\ufeff{}"],
  ["{"],
  [""],
  ["{'a':1}"],
])("refuses %s", (text) => {
  expect(() => parseStrictJson(Buffer.from(text))).toThrow(AppError);
});

test("refuses invalid UTF-8", () => {
  expect(() => parseStrictJson(Buffer.from([0x22, 0xff, 0x22]))).toThrow(AppError);
});

test("reads names again that stand in other objects, and quotes and braces inside strings", () => {
  const text = '{"a":{"a":"}{\\"a\\":"},"b":[{"a":1},{"a":2}],":":"a"}';
  expect(parseStrictJson(Buffer.from(text))).toEqual(JSON.parse(text));
});

test("reads whatever JSON.stringify writes", () => {
  assert(
    property(json({ maxDepth: 5 }), (text) => {
      const value: unknown = JSON.parse(text);
      expect(parseStrictJson(Buffer.from(JSON.stringify(value)))).toEqual(value);
    }),
  );
});
