import { createRequire } from "node:module";
import type * as Cedar from "@cedar-policy/cedar-wasm/nodejs";
import { expect, test } from "vitest";
import { compileExpression } from "../../src/policy/compile-expression.ts";
import { cedarRecord, entityUid, isFailure, type Result } from "../../src/policy/value.ts";
import { DATETIMES, DECIMALS, DURATIONS, IPS, LONGS, type Node } from "./policy-expressions.ts";
import { toCedarJson } from "./to-cedar-json.ts";

const cedar: typeof Cedar = createRequire(import.meta.url)("@cedar-policy/cedar-wasm/nodejs");
const SOMEONE = entityUid("Runlayer::Agent", "a");

test("every extension function and arithmetic operator gives the Cedar library's value on every pair of literals", () => {
  const expressions = [...unary(), ...binary(), ...arithmetic()];
  const policies = expressions.map((expression, number) => [`p${number}`, toPolicy(expression)] as const);
  const staticPolicies: Record<string, Cedar.PolicyJson> = Object.fromEntries(policies);
  const uid = { type: SOMEONE.type, id: SOMEONE.id };
  const request = { principal: uid, action: { type: "Runlayer::Action", id: "connect" }, resource: uid, context: {} };
  const answer = cedar.isAuthorized({ ...request, policies: { staticPolicies }, entities: [] });
  if (answer.type === "failure") throw new Error(JSON.stringify(answer.errors).slice(0, 2000));
  const reason = new Set(answer.response.diagnostics.reason);
  const errors = new Set(answer.response.diagnostics.errors.map(({ policyId }) => policyId));
  const different = expressions.filter((expression, number) =>
    isFailure(evaluate(expression)) ? !errors.has(`p${number}`) : !reason.has(`p${number}`),
  );
  expect(different.map((expression) => JSON.stringify(expression))).toEqual([]);
  expect(expressions.length).toBeGreaterThan(3_000);
  expect(errors.size).toBeGreaterThan(500);
});

/** A policy that the library finds satisfied only if it computes our value; on our failure, one that it must fail too. */
function toPolicy(expression: Node): Cedar.PolicyJson {
  const body = { "==": comparison(expression, evaluate(expression)) };
  const json = { effect: "permit", principal: { op: "All" }, action: { op: "All" }, resource: { op: "All" } };
  const policy: Cedar.PolicyJson = JSON.parse(JSON.stringify({ ...json, conditions: [{ kind: "when", body }] }));
  return policy;
}

function comparison(expression: Node, ours: Result): Node {
  if (isFailure(ours)) return { left: expression, right: { Value: true } };
  if (typeof ours === "bigint") {
    // Too large for JSON: split in two exact factors and a rest.
    const rest = Number(ours % 1_000_000n);
    const product = { "*": { left: { Value: Number(ours / 1_000_000n) }, right: { Value: 1_000_000 } } };
    return { left: expression, right: { "+": { left: product, right: { Value: rest } } } };
  }
  if (typeof ours === "object" && ours.kind === "datetime") {
    // A datetime far off has no text, but its distance from the epoch has.
    const distance = { durationSince: [expression, { datetime: [{ Value: "1970-01-01" }] }] };
    return { left: distance, right: { duration: [{ Value: `${ours.ms}ms` }] } };
  }
  return { left: expression, right: { Value: toCedarJson(ours) } };
}

function evaluate(expression: Node): Result {
  return compileExpression(expression)({
    principal: SOMEONE,
    action: SOMEONE,
    resource: SOMEONE,
    context: cedarRecord(new Map()),
    factsOf: () => undefined,
    isPartial: false,
  });
}

function unary(): Node[] {
  return [
    ...calls(["isIpv4", "isIpv6", "isLoopback", "isMulticast"], made("ip", IPS)),
    ...calls(["toDate", "toTime"], made("datetime", DATETIMES)),
    ...calls(["toMilliseconds", "toSeconds", "toMinutes", "toHours", "toDays"], made("duration", DURATIONS)),
  ];
}

function binary(): Node[] {
  const orders = ["lessThan", "lessThanOrEqual", "greaterThan", "greaterThanOrEqual"];
  const [datetimes, durations] = [made("datetime", DATETIMES), made("duration", DURATIONS)];
  return [
    ...pairs(made("ip", IPS), made("ip", IPS)).map((args) => ({ isInRange: args })),
    ...pairs(made("decimal", DECIMALS), made("decimal", DECIMALS)).flatMap((args) =>
      orders.map((name) => ({ [name]: args })),
    ),
    ...pairs(datetimes, durations).map((args) => ({ offset: args })),
    ...pairs(datetimes, datetimes).map((args) => ({ durationSince: args })),
    ...[...pairs(durations, durations), ...pairs(datetimes, datetimes)].flatMap(([left, right]) =>
      ["<", "<=", ">", ">="].map((operator) => ({ [operator]: { left, right } })),
    ),
  ];
}

function arithmetic(): Node[] {
  const longs = LONGS.map((long) => ({ Value: long }));
  const products = pairs(longs, longs).map(([left, right]) => ({ "*": { left, right } }));
  const sums = pairs([...longs, ...products], longs).flatMap(([left, right]) => [
    { "+": { left, right } },
    { "-": { left, right } },
  ]);
  return [...products, ...sums];
}

function made(name: string, texts: readonly string[]): Node[] {
  return texts.map((text) => ({ [name]: [{ Value: text }] }));
}

function calls(names: readonly string[], args: readonly Node[]): Node[] {
  return names.flatMap((name) => args.map((arg) => ({ [name]: [arg] })));
}

function pairs(left: readonly Node[], right: readonly Node[]): [Node, Node][] {
  return left.flatMap((first) => right.map((second): [Node, Node] => [first, second]));
}
