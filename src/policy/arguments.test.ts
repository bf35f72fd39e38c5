import { expect, test } from "vitest";
import { argumentKinds } from "./argument-kinds.ts";
import { formatPath, parsePath } from "./argument-path.ts";
import { toCedarArgument } from "./arguments.ts";
import { compilePolicy } from "./compiled-policy.ts";
import { decide } from "./decide.ts";
import { parsePolicy } from "./parse-policy.ts";
import { createPolicyIndex } from "./policy-index.ts";
import { createPolicyRequest, createSubject, createTarget } from "./request.ts";
import { typeName } from "./value.ts";

const MAPPING: readonly (readonly [unknown, string])[] = [
  ["x", "string"],
  [true, "boolean"],
  [-0, "long"],
  [Number.MAX_SAFE_INTEGER, "long"],
  [2 ** 53, "(entity of type `Runlayer::Number`)"],
  [12.3456, "decimal"],
  [12.34567, "(entity of type `Runlayer::Number`)"],
  [1e-7, "(entity of type `Runlayer::Number`)"],
  [1e300, "(entity of type `Runlayer::Number`)"],
  [null, "(entity of type `Runlayer::Null`)"],
  [[1, 1], "set"],
  [{}, "record"],
];

test.each(MAPPING)("maps %j to %s", (json, expected) => {
  expect(typeName(toCedarArgument(json))).toBe(expected);
});

test("lists the paths of decimals, arrays and objects, and finds each alone", () => {
  const args = { a: 1.5, b: { "x.y": [1], z: 2 }, c: [1.5], "": { d: 0.5 } };
  const kinds = argumentKinds(() => args);
  expect(kinds.items()).toEqual(["a:decimal", "b:object", 'b."x.y":array', "c:array", '"":object', '"".d:decimal']);
  expect(kinds.items().every((entry) => kinds.contains(entry))).toBe(true);
  for (const other of ["b.z:decimal", "a:array", '"a":decimal', "constructor:array", "a", ":array", ":object", ""]) {
    expect(kinds.contains(other)).toBe(false);
  }
});

test("reads back every path that it writes, and refuses broken ones", () => {
  for (const path of [["a"], ["a.b", 'c"d', " ", "é"], ["", "x"]]) expect(parsePath(formatPath(path))).toEqual(path);
  for (const text of ["", ".a", "a.", "a..b", 'a"b', '"a', "a b"]) expect(parsePath(text)).toBeUndefined();
});

test("arguments of any depth and size cost at most the policies that compare them", () => {
  const args = { a: nested(100_000), b: nested(100_000) };
  const text = "forbid (principal, action, resource) when { context.args has a && context.args.a == context.args.b };";
  const { ast, effect } = parsePolicy(text);
  const policy = compilePolicy({ id: "p", name: "p", mode: "enforce", effect, ast });
  const subject = createSubject({ agent: { id: "a", name: "a", type: "cursor", groups: [] } });
  const target = createTarget({ kind: "skill", id: "s", name: "s" });
  const at = { args: () => args, nowMs: 0, minuteOfDay: 0, weekday: "monday" };
  const request = createPolicyRequest({ subject, target }, "run_skill", at);
  const { reason } = decide(createPolicyIndex([policy]), request, { assignmentGrantsAccess: true });
  expect(reason).toBe("evaluation_error");
});

function nested(depthMax: number): unknown {
  let value: unknown = 1;
  for (let depth = 0; depth < depthMax; depth += 1) value = { a: value };
  return value;
}
