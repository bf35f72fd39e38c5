import { expect, test } from "vitest";
import { type CompiledPolicy, compilePolicy } from "./compiled-policy.ts";
import { cutsOffEveryAgent } from "./cut-off.ts";
import type { Message } from "./decide-message.ts";
import { parsePolicy, parseRule } from "./parse-policy.ts";
import { createPolicyIndex } from "./policy-index.ts";
import type { ReplayRules } from "./replay.ts";
import { createPolicyRequest, createSubject, createTarget } from "./request.ts";
import type { PolicyRule } from "./rule.ts";

const [PAYMENTS, FILES] = ["payments", "files"].map((name, index) => ({
  id: `0198f000-0000-7000-8000-00000000000${index}`,
  name,
  groups: [],
}));

/** A call of agent `id` on Friday at midnight. */
function callOf(id: string, server: typeof PAYMENTS, name: string): Message {
  if (server === undefined) throw new Error("there are two servers");
  const subject = createSubject({ agent: { id, name: id, type: "cursor", groups: [] } });
  const at = { nowMs: 0, minuteOfDay: 0, weekday: "friday" };
  const [target, host] = [createTarget({ kind: "tool", server, name }), createTarget({ kind: "server", server })];
  return {
    request: createPolicyRequest({ subject, target }, "call_tool", at),
    connect: createPolicyRequest({ subject, target: host }, "connect", at),
  };
}

const CALLS = [callOf("a", PAYMENTS, "pay"), callOf("a", FILES, "read"), callOf("b", PAYMENTS, "pay")];
const ALL: PolicyRule = { effect: "deny", principals: { everyone: true }, resources: { everything: true } };

function compiled(rule: Partial<PolicyRule> | string): CompiledPolicy {
  const { ast, effect } = typeof rule === "string" ? parsePolicy(rule) : parseRule({ ...ALL, ...rule });
  return compilePolicy({ id: JSON.stringify(rule), name: "p", mode: "enforce", effect, ast });
}

function rules(...policies: readonly CompiledPolicy[]): ReplayRules {
  return { index: createPolicyIndex(policies), settings: { assignmentGrantsAccess: true } };
}

const RULES: readonly (readonly [Partial<PolicyRule> | string, boolean])[] = [
  [{}, true],
  [{ resources: { everything: true, tools: ["*"] } }, true],
  [{ actions: ["connect"] }, true],
  [{ resources: { servers: [PAYMENTS?.id ?? "", FILES?.id ?? ""] } }, true],
  [{ resources: { tools: ["pay", "read"] } }, true],
  ["forbid (principal, action, resource) when { true };", true],
  ['forbid (principal, action == Runlayer::Action::"connect", resource);', true],
  [{ resources: { servers: [PAYMENTS?.id ?? ""] } }, false],
  [{ principals: { agents: ["b"] } }, false],
  [{ principals: { agents: ["a", "b"] } }, true],
  [{ principals: { everyone: true, except: { agents: ["b"] } } }, false],
  [{ actions: ["read_resource"] }, false],
  [{ conditions: [{ field: "args.a", operator: "eq", value: 1 }] }, false],
  [{ conditions: [{ field: "context.weekday", operator: "eq", value: "friday" }] }, false],
  [{ effect: "require_approval" }, false],
];

test.each(RULES)("%j leaves no agent anything: %s", (rule, expected) => {
  expect(cutsOffEveryAgent(CALLS, { before: rules(), after: rules(compiled(rule)) })).toBe(expected);
});

test("counts what an agent has now, whatever took the rest", () => {
  const noPayments = compiled({ resources: { servers: [PAYMENTS?.id ?? ""] } });
  const noReading = compiled({ resources: { tools: ["read"] } });
  expect(cutsOffEveryAgent(CALLS, { before: rules(noPayments), after: rules(noPayments, noReading) })).toBe(true);
  expect(cutsOffEveryAgent(CALLS, { before: rules(compiled({})), after: rules(compiled({}), noReading) })).toBe(false);
  expect(cutsOffEveryAgent([], { before: rules(), after: rules(compiled({})) })).toBe(false);
});
