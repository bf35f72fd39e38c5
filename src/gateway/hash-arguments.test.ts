import { expect, test } from "vitest";
import { hashArguments } from "./hash-arguments.ts";

test.each([
  ['{"a":1,"b":[true,null,"x"]}', '{ "b" : [true, null, "\\u0078"], "a" : 1 }'],
  ["{}", " { } "],
])("is the same for %s however it is written", (left, right) => {
  expect(hashArguments(left)).toBe(hashArguments(right));
});

test.each([
  ['{"a":1}', '{"a":2}'],
  ['{"a":1}', '{"a":"1"}'],
  ['{"a":9007199254740992}', '{"a":9007199254740993}'],
  ['{"a":0.1}', '{"a":0.1000000000000000055}'],
  ['{"a":1e400}', '{"a":1e401}'],
  ['{"a":1e400}', '{"a":null}'],
  ['{"a":0}', '{"a":-0}'],
  ['{"a":[1,2]}', '{"a":[2,1]}'],
  ['{"a":{}}', "{}"],
  ['{"a":"x"}', '{"а":"x"}'],
  ['{"__proto__":1}', "{}"],
])("tells %s from %s", (left, right) => {
  expect(hashArguments(left)).not.toBe(hashArguments(right));
});

test("takes text that is half of a surrogate pair", () => {
  expect(hashArguments('{"a":"\\ud800"}')).not.toBe(hashArguments('{"a":"\\ud801"}'));
});
