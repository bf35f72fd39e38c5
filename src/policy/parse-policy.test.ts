import { expect, test } from "vitest";
import { AppError } from "../lib/errors.ts";
import { CEDAR_BYTES_MAX, parsePolicy, parseRule } from "./parse-policy.ts";
import { ruleToCedar } from "./rule-to-cedar.ts";
import type { PolicyRule } from "./rule.ts";

function refusal(run: () => unknown): AppError {
  try {
    run();
  } catch (error) {
    if (error instanceof AppError) return error;
    throw error;
  }
  throw new Error("expected a refusal");
}

const HEAD = "permit (principal, action, resource)";

test("says where a syntax error is and what was expected", () => {
  const { code, details } = refusal(() => parsePolicy('permit (principal, action, resource)\nwhen { "é" == };'));
  expect(code).toBe("invalid_input");
  expect(details?.["errors"]).toMatchObject([{ line: 2, column: 15, expected: expect.any(String) }]);
});

test("says where a policy leaves the schema, with and without tests on arguments", () => {
  const plain = refusal(() => parsePolicy(`${HEAD}\nwhen { resource in Runlayer::Srv::"x" };`));
  expect(plain.details?.["errors"]).toMatchObject([{ line: 2, column: 20 }]);
  const mixed = refusal(() => parsePolicy(`${HEAD}\nwhen { context.args.a == principal.nope };`));
  expect(mixed.details?.["errors"]).toMatchObject([{ line: 2, message: expect.stringContaining("nope") }]);
});

const REFUSED: readonly (readonly [string, string])[] = [
  ["two policies", `${HEAD}; ${HEAD};`],
  ["a template", "permit (principal == ?principal, action, resource);"],
  ["an unknown effect", `@effect("hold") forbid (principal, action, resource);`],
  ["an approval that permits", `@effect("require_approval") ${HEAD};`],
  ["an inexact integer", `${HEAD} when { context.time > 9223372036854775807 };`],
  ["parentheses without end", `${HEAD} when { ${"(".repeat(5000)}true${")".repeat(5000)} };`],
  ["a chain too deep", `${HEAD} when { ${"context.time == 1 || ".repeat(900)}true };`],
  ["no text at all", ""],
  ["an invalid address", `${HEAD} when { context has ip && context.ip.isInRange(ip("10.0.0.0/99")) };`],
  ["an unguarded optional member", `${HEAD} when { context.client == "x" };`],
];

test.each(REFUSED)("refuses %s", (_, text) => {
  expect(refusal(() => parsePolicy(text)).code).toBe("invalid_input");
  // The library must still work afterwards: a text that exhausts it breaks its instance.
  expect(parsePolicy(`${HEAD};`).effect).toBe("allow");
});

test("refuses a policy of more than 64 kB", () => {
  const text = `${HEAD} when { context.weekday == "${"x".repeat(CEDAR_BYTES_MAX)}" };`;
  expect(refusal(() => parsePolicy(text)).code).toBe("payload_too_large");
});

test("shows the Cedar text of a rule, formatted, and reads it back to the same", () => {
  const rule: PolicyRule = {
    effect: "require_approval",
    principals: { everyone: true, except: { groups: ["approved-developers"] } },
    resources: { tools: ["delete_*", "trait:destructive"] },
    conditions: [{ field: "args.amount", operator: "gt", value: 100 }],
  };
  const parsed = parseRule(rule);
  expect(parsed.effect).toBe("require_approval");
  expect(parsed.cedar).toContain('resource.name like "delete_*"');
  expect(parsePolicy(parsed.cedar).ast).toEqual(parsed.ast);
});

test("warns of a rule that no request can match", () => {
  const text = 'forbid (principal, action == Runlayer::Action::"connect", resource is Runlayer::Tool);';
  expect(parsePolicy(text).warnings.join(" ")).toContain("impossible");
});

const EVERYONE = { principals: { everyone: true }, resources: { everything: true }, effect: "deny" } as const;
const REFUSED_RULES: readonly (readonly [string, PolicyRule])[] = [
  ["no principals", { ...EVERYONE, principals: {} }],
  ["everyone false", { ...EVERYONE, principals: { everyone: false, agents: [] } }],
  ["only exceptions", { ...EVERYONE, resources: { except: { servers: ["x"] } } }],
  ["an unknown trait", { ...EVERYONE, resources: { tools: ["trait:nice"] } }],
  ["a server that is no id", { ...EVERYONE, resources: { tools: ["github/*"] } }],
  ["an unknown field", { ...EVERYONE, conditions: [{ field: "context.moon", operator: "eq", value: 1 }] }],
  ["a broken path", { ...EVERYONE, conditions: [{ field: "args.a..b", operator: "eq", value: 1 }] }],
  ["an order on text", { ...EVERYONE, conditions: [{ field: "args.a", operator: "gt", value: "b" }] }],
  ["no such time", { ...EVERYONE, conditions: [{ field: "context.time", operator: "gt", value: "25:00" }] }],
  ["a bad range", { ...EVERYONE, conditions: [{ field: "context.ip", operator: "in_cidr", value: "10.0.0.0/33" }] }],
  ["an inexact number", { ...EVERYONE, conditions: [{ field: "args.a", operator: "eq", value: 0.123456 }] }],
  ["an empty list", { ...EVERYONE, conditions: [{ field: "args.a", operator: "in", value: [] }] }],
];

test.each(REFUSED_RULES)("refuses a rule with %s", (_, rule) => {
  expect(refusal(() => ruleToCedar(rule)).code).toBe("invalid_input");
});

test("no text in a rule can leave its quotes", () => {
  const nasty = 'x"); permit (principal, action, resource); #\\*\u0000\u202e';
  const rule: PolicyRule = {
    ...EVERYONE,
    principals: { agentTypes: [nasty] },
    resources: { tools: [nasty, "a"] },
    conditions: [
      { field: `args.${JSON.stringify(nasty)}`, operator: "like", value: nasty },
      { field: "args.if", operator: "contains", value: nasty },
    ],
  };
  expect(parseRule(rule).effect).toBe("deny");
});

test("a rule with many globs and agents is wide, not deep", () => {
  const tools = Array.from({ length: 600 }, (_, index) => `tool_${index}_*`);
  const agents = Array.from({ length: 300 }, (_, index) => `agent-${index}`);
  expect(parseRule({ ...EVERYONE, principals: { agents }, resources: { tools } }).effect).toBe("deny");
});
