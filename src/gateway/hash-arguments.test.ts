import fc from "fast-check";
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

test.each([
  ['{"a":9007199254740993,"b":9007199254740995}', '{"a":9007199254740995,"b":9007199254740993}'],
  ['{"a":1e400,"b":null}', '{"a":null,"b":1e400}'],
  ['{"a":1e400,"b":-1e400}', '{"a":-1e400,"b":1e400}'],
  ['{"a":"\\ud800","b":"\\ufffd"}', '{"a":"\\ufffd","b":"\\ud800"}'],
  ['{"a":"\\ud800","b":1.0}', '{"a":1.0,"b":"\\ud800"}'],
  ['{"a":1.0}', '{"a":"1.0"}'],
])("tells %s from %s, where a value only moved", (left, right) => {
  expect(hashArguments(left)).not.toBe(hashArguments(right));
});

/** A JSON value with its numbers as written. */
type Tree =
  | { readonly kind: "scalar"; readonly text: string }
  | { readonly kind: "array"; readonly items: readonly Tree[] }
  | { readonly kind: "object"; readonly members: readonly (readonly [string, Tree])[] };

// Few and near to each other, so that two trees are often almost the same.
const NUMBERS = "0 -0 1 1.0 2.0 10 1e1 1e400 1e401 -1e400 9007199254740992 9007199254740993 0.1 0.10000000000000001";
const TEXTS = ["", "s", "1.0", "n1.0", "jn", "\ud800", "\ud801", "\ufffd", '"\\ud800"', "1e400"];
const scalar = fc
  .constantFrom(...NUMBERS.split(" "), "null", "true", ...TEXTS.map((text) => JSON.stringify(text)))
  .map((text): Tree => ({ kind: "scalar", text }));
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.oneof(
    { depthSize: "small", withCrossShrink: true },
    scalar,
    fc.array(tie("tree"), { maxLength: 3 }).map((items): Tree => ({ kind: "array", items })),
    fc
      .uniqueArray(fc.tuple(fc.constantFrom("a", "b", "n", "10", "9", "__proto__"), tie("tree")), {
        maxLength: 3,
        selector: ([name]) => name,
      })
      .map((members): Tree => ({ kind: "object", members })),
  ),
}));

/** The tree as JSON text; members in order of their names or against it. */
function write(value: Tree, order: 1 | -1, space = ""): string {
  if (value.kind === "scalar") return value.text;
  if (value.kind === "array")
    return `[${space}${value.items.map((item) => write(item, order, space)).join(`,${space}`)}]`;
  const members = value.members.toSorted(([left], [right]) => (left < right ? -order : order));
  const texts = members.map(([name, member]) => `${JSON.stringify(name)}${space}:${write(member, order, space)}`);
  return `{${texts.join(`${space},`)}${space}}`;
}

test("is the same for the same value in any order and spacing", () => {
  fc.assert(
    fc.property(tree, (value) => {
      expect(hashArguments(write(value, 1))).toBe(hashArguments(write(value, -1, " \n")));
    }),
    { numRuns: 2000 },
  );
});

test("is another for every other value", () => {
  const seen = new Map<string, string>();
  fc.assert(
    fc.property(tree, (value) => {
      const text = write(value, 1);
      const hash = hashArguments(text);
      expect(seen.get(hash) ?? text).toBe(text);
      seen.set(hash, text);
    }),
    { numRuns: 5000 },
  );
});
