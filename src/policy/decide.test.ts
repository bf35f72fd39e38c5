import { expect, test } from "vitest";
import { type CompiledPolicy, compilePolicy } from "./compiled-policy.ts";
import { couldAllow, decide } from "./decide.ts";
import { parsePolicy, parseRule } from "./parse-policy.ts";
import { createPolicyIndex, withPolicy, withoutPolicy } from "./policy-index.ts";
import { createPolicyRequest, createSubject, createTarget, type PolicyRequest } from "./request.ts";
import type { Circumstances } from "./request-context.ts";
import type { PolicyCondition, PolicyRule, PrincipalScope, ResourceScope } from "./rule.ts";

const SERVER = { id: "0198f000-0000-7000-8000-000000000001", name: "payments", groups: ["finance"] };
const OTHER_SERVER = { id: "0198f000-0000-7000-8000-000000000002", name: "wiki", groups: [] };
const AGENT = { id: "agent-1", name: "claude", type: "claude-code", groups: ["approved"] };
const MEMBER = { id: "member-1", email: "ann@example.org", role: "admin", groups: ["staff"] };
const AT: Circumstances = { nowMs: 1_700_000_000_000, minuteOfDay: 600, weekday: "tuesday" };

interface Call extends Partial<Circumstances> {
  readonly tool?: string;
  readonly readOnly?: boolean;
  readonly destructive?: boolean;
  readonly server?: typeof SERVER;
  readonly withoutMember?: boolean;
}

function call({
  tool = "delete_row",
  readOnly,
  destructive,
  server = SERVER,
  withoutMember,
  ...at
}: Call = {}): PolicyRequest {
  const subject = createSubject({ agent: AGENT, member: withoutMember === true ? undefined : MEMBER });
  const target = createTarget({ kind: "tool", server, name: tool, readOnly, destructive });
  return createPolicyRequest({ subject, target }, "call_tool", { ...AT, ...at });
}

let count = 0;

function policy(rule: Partial<PolicyRule>, extra: Partial<CompiledPolicy> = {}): CompiledPolicy {
  const full: PolicyRule = { effect: "deny", principals: { everyone: true }, resources: { everything: true }, ...rule };
  const { ast, effect } = parseRule(full);
  count += 1;
  return compilePolicy({ id: `p${count}`, name: `policy-${count}`, mode: "enforce", ...extra, effect, ast });
}

const GRANTS = { assignmentGrantsAccess: true };
const NO_GRANTS = { assignmentGrantsAccess: false };

function outcome(policies: readonly CompiledPolicy[], request: PolicyRequest, settings = GRANTS): string {
  const { decision, reason } = decide(createPolicyIndex(policies), request, settings);
  return `${decision} ${reason}`;
}

const brokenTest: readonly PolicyCondition[] = [{ field: "args.amount", operator: "gt", value: 5 }];

test("decides in the order of the table", () => {
  const deny = policy({ effect: "deny" });
  const allow = policy({ effect: "allow" });
  const hold = policy({ effect: "require_approval" });
  const failing = policy({ effect: "allow", conditions: brokenTest });
  const request = call({ args: () => ({ amount: "much" }) });
  expect(outcome([], request)).toBe("allow assignment");
  expect(outcome([], request, NO_GRANTS)).toBe("deny default");
  expect(outcome([allow], request, NO_GRANTS)).toBe("allow policy");
  expect(outcome([hold], request, NO_GRANTS)).toBe("deny default");
  expect(outcome([hold], request)).toBe("held policy");
  expect(outcome([hold, allow], request, NO_GRANTS)).toBe("held policy");
  expect(outcome([hold, allow, failing], request)).toBe("deny evaluation_error");
  expect(outcome([hold, allow, failing, deny], request)).toBe("deny policy");
  expect(outcome([policy({ effect: "require_approval", conditions: brokenTest })], request)).toBe(
    "deny evaluation_error",
  );
});

test("names the deciding policies and counts what only watches", () => {
  const deny = policy({});
  const watching = policy({}, { mode: "monitor" });
  const off = policy({}, { mode: "disabled" });
  const expired = policy({}, { expiresAtMs: AT.nowMs });
  const result = decide(createPolicyIndex([deny, watching, off, expired]), call(), GRANTS);
  expect(result.policies).toEqual([{ id: deny.id, name: deny.name }]);
  expect(result.matched.map(({ id }) => id)).toEqual([deny.id, watching.id]);
  expect(outcome([watching, off, expired], call())).toBe("allow assignment");
  const failing = policy({ conditions: brokenTest }, { mode: "monitor" });
  const watched = decide(createPolicyIndex([failing]), call({ args: () => ({ amount: "x" }) }), GRANTS);
  expect(watched.decision).toBe("allow");
  expect(watched.monitorErrors).toEqual([failing]);
});

test("takes the most protective recording level of what matches and is enforced", () => {
  const full = policy({ effect: "allow" }, { audit: "full" });
  const digest = policy({ effect: "allow" }, { audit: "digest" });
  const watching = policy({ effect: "allow" }, { audit: "none", mode: "monitor" });
  expect(decide(createPolicyIndex([full, digest, watching]), call(), GRANTS).audit).toBe("digest");
});

const PRINCIPALS: readonly (readonly [PrincipalScope, boolean])[] = [
  [{ agents: ["agent-1"] }, true],
  [{ agents: ["agent-2", "agent-3"] }, false],
  [{ agentTypes: ["claude-code"] }, true],
  [{ groups: ["approved"] }, true],
  [{ groups: ["staff"] }, true],
  [{ groups: ["others"] }, false],
  [{ members: ["member-1"] }, true],
  [{ roles: ["admin"] }, true],
  [{ roles: ["owner"], agents: ["agent-1"] }, true],
  [{ everyone: true, except: { groups: ["approved"] } }, false],
  [{ everyone: true, except: { groups: ["others"], roles: ["admin"] } }, false],
  [{ everyone: true, except: { groups: ["others"] } }, true],
];

test.each(PRINCIPALS)("selects principals %j: %s", (principals, isSelected) => {
  expect(outcome([policy({ principals })], call())).toBe(isSelected ? "deny policy" : "allow assignment");
});

const RESOURCES: readonly (readonly [ResourceScope, boolean])[] = [
  [{ servers: [SERVER.id] }, true],
  [{ servers: [OTHER_SERVER.id] }, false],
  [{ groups: ["finance"] }, true],
  [{ tools: ["delete_*"] }, true],
  [{ tools: ["DELETE_*", "delete_rows"] }, false],
  [{ tools: ["delete_row", "x"] }, true],
  [{ tools: [`${SERVER.id}/*`] }, true],
  [{ tools: [`${OTHER_SERVER.id}/*`] }, false],
  [{ tools: ["*/delete_row"] }, true],
  [{ tools: ["trait:destructive"] }, true],
  [{ tools: ["trait:read-only"] }, false],
  [{ servers: [OTHER_SERVER.id], tools: ["delete_*"] }, false],
  [{ servers: [SERVER.id], tools: ["get_*"] }, false],
  [{ everything: true, tools: ["get_*"] }, false],
  [{ everything: true, except: { tools: ["delete_*"] } }, false],
  [{ skills: ["skill-1"] }, false],
];

test.each(RESOURCES)("selects resources %j: %s", (resources, isSelected) => {
  expect(outcome([policy({ resources })], call())).toBe(isSelected ? "deny policy" : "allow assignment");
});

test("selects a skill, a server and a resource by their kinds", () => {
  const subject = createSubject({ agent: AGENT });
  const skill = createTarget({ kind: "skill", id: "skill-1", name: "fmt" });
  const server = createTarget({ kind: "server", server: SERVER });
  const onSkill = policy({ resources: { skills: ["skill-1"] } });
  const onServer = policy({ resources: { servers: [SERVER.id] } });
  const onTools = policy({ resources: { tools: ["*"] } });
  const running = createPolicyRequest({ subject, target: skill }, "run_skill", AT);
  const connecting = createPolicyRequest({ subject, target: server }, "connect", AT);
  expect(outcome([onSkill], running)).toBe("deny policy");
  expect(outcome([onServer, onTools], running)).toBe("allow assignment");
  expect(outcome([onServer], connecting)).toBe("deny policy");
  expect(outcome([onTools], connecting)).toBe("allow assignment");
  expect(outcome([policy({ effect: "allow" })], connecting, NO_GRANTS)).toBe("deny default");
});

const WEIRD = { amount: 12.5, whole: 7, tiny: 0.00001, none: null, name: "a*b", tags: ["x", 3], deep: { "a.b": "c" } };
const CONDITIONS: readonly (readonly [PolicyCondition, "true" | "false" | "error"])[] = [
  [{ field: "args.amount", operator: "gt", value: 12 }, "true"],
  [{ field: "args.amount", operator: "gt", value: 12.5 }, "false"],
  [{ field: "args.amount", operator: "gte", value: 12.5 }, "true"],
  [{ field: "args.amount", operator: "lt", value: 9_007_199_254_740_991 }, "true"],
  [{ field: "args.whole", operator: "lt", value: 7.5 }, "true"],
  [{ field: "args.whole", operator: "gte", value: 6.5 }, "true"],
  [{ field: "args.whole", operator: "gt", value: 7.5 }, "false"],
  [{ field: "args.whole", operator: "lte", value: -7.5 }, "false"],
  [{ field: "args.name", operator: "gt", value: 1 }, "error"],
  [{ field: "args.tiny", operator: "gt", value: 0 }, "error"],
  [{ field: "args.none", operator: "gt", value: 0 }, "error"],
  [{ field: "args.none", operator: "contains", value: "x" }, "error"],
  [{ field: "args.none", operator: "eq", value: null }, "true"],
  [{ field: "args.none", operator: "neq", value: "x" }, "true"],
  [{ field: "args.none", operator: "exists" }, "true"],
  [{ field: "args.tiny", operator: "neq", value: 1 }, "true"],
  [{ field: "args.missing", operator: "neq", value: 1 }, "false"],
  [{ field: "args.missing", operator: "not_in", value: [1] }, "false"],
  [{ field: "args.missing", operator: "exists", value: false }, "true"],
  [{ field: "args.constructor", operator: "exists" }, "false"],
  [{ field: "args.__proto__", operator: "exists" }, "false"],
  [{ field: "args.whole", operator: "eq", value: "7" }, "false"],
  [{ field: "args.whole", operator: "in", value: ["7", 7, null, 1.5] }, "true"],
  [{ field: "args.name", operator: "contains", value: "*" }, "true"],
  [{ field: "args.name", operator: "starts_with", value: "*" }, "false"],
  [{ field: "args.name", operator: "ends_with", value: "*b" }, "true"],
  [{ field: "args.name", operator: "like", value: "a*" }, "true"],
  [{ field: "args.tags", operator: "contains", value: "x" }, "true"],
  [{ field: "args.tags", operator: "contains", value: 3 }, "true"],
  [{ field: "args.tags", operator: "contains", value: "" }, "false"],
  [{ field: "args.name", operator: "contains", value: 3 }, "error"],
  [{ field: 'args.deep."a.b"', operator: "eq", value: "c" }, "true"],
  [{ field: "args.name", operator: "in_cidr", value: "10.0.0.0/8" }, "error"],
  [{ field: "context.ip", operator: "in_cidr", value: ["192.168.0.0/16", "10.0.0.0/8"] }, "true"],
  [{ field: "context.ip", operator: "eq", value: "10.1.2.4" }, "false"],
  [{ field: "context.time", operator: "gte", value: "10:00" }, "true"],
  [{ field: "context.time", operator: "lt", value: "10:00" }, "false"],
  [{ field: "context.weekday", operator: "in", value: ["sat", "Sunday"] }, "false"],
  [{ field: "context.client", operator: "exists" }, "false"],
  [{ field: "tool.name", operator: "starts_with", value: "delete" }, "true"],
  [{ field: "agent.type", operator: "eq", value: "claude-code" }, "true"],
  [{ field: "member.email", operator: "ends_with", value: "@example.org" }, "true"],
];

const NEVER_OF_WHAT_IS_MISSING: readonly (readonly [PolicyCondition["operator"], unknown])[] = [
  ["eq", 1],
  ["neq", 1],
  ["in", [1]],
  ["not_in", [1]],
  ["exists", true],
  ["gt", 1],
  ["contains", "x"],
  ["like", "*"],
  ["in_cidr", "10.0.0.0/8"],
];

const OUTCOMES = { true: "deny policy", false: "allow assignment", error: "deny evaluation_error" };

test.each(CONDITIONS)("tests %j: %s", (condition, expected) => {
  const request = call({ args: () => WEIRD, ip: "10.1.2.3" });
  expect(outcome([policy({ conditions: [condition] })], request)).toBe(OUTCOMES[expected]);
});

const BELOW_NO_OBJECT = [
  "amount",
  "whole",
  "tiny",
  "none",
  "name",
  "tags",
  'deep."a.b"',
  "missing",
  "tags.x",
  "deep.x",
];

test.each(BELOW_NO_OBJECT)("takes what lies below `%s`, which is no object, as missing", (path) => {
  const request = call({ args: () => WEIRD });
  const test = (condition: Omit<PolicyCondition, "field">): string =>
    outcome([policy({ conditions: [{ field: `args.${path}.below`, ...condition }] })], request);
  for (const [operator, value] of NEVER_OF_WHAT_IS_MISSING) {
    expect(`${operator}: ${test({ operator, value })}`).toBe(`${operator}: ${OUTCOMES.false}`);
  }
  expect(test({ operator: "exists", value: false })).toBe(OUTCOMES.true);
});

test("stops at the first false condition, so that a later one cannot fail", () => {
  const first: PolicyCondition = { field: "tool.name", operator: "eq", value: "other" };
  const second: PolicyCondition = { field: "args.name", operator: "gt", value: 1 };
  const request = call({ args: () => WEIRD });
  expect(outcome([policy({ conditions: [first, second] })], request)).toBe("allow assignment");
  expect(outcome([policy({ conditions: [second, first] })], request)).toBe("deny evaluation_error");
});

test("a member condition is false for an agent that acts for nobody", () => {
  const rule = policy({ conditions: [{ field: "member.email", operator: "neq", value: "x" }] });
  expect(outcome([rule], call({ withoutMember: true }))).toBe("allow assignment");
  expect(outcome([rule], call())).toBe("deny policy");
});

function grants(rules: readonly CompiledPolicy[], settings = GRANTS): boolean {
  return couldAllow(createPolicyIndex(rules), call(), settings);
}

test("lists show what some arguments or time could allow", () => {
  const onArguments: readonly PolicyCondition[] = [{ field: "args.x", operator: "eq", value: 1 }];
  const otherTool: PolicyCondition = { field: "tool.name", operator: "eq", value: "other" };
  expect(grants([policy({})])).toBe(false);
  expect(grants([policy({ conditions: onArguments })])).toBe(true);
  expect(grants([policy({ conditions: [{ field: "context.time", operator: "lt", value: "09:00" }] })])).toBe(true);
  expect(grants([policy({ effect: "require_approval" })])).toBe(true);
  expect(grants([], NO_GRANTS)).toBe(false);
  expect(grants([policy({ effect: "allow", conditions: onArguments })], NO_GRANTS)).toBe(true);
  expect(grants([policy({ effect: "allow", conditions: [...onArguments, otherTool] })], NO_GRANTS)).toBe(false);
  expect(grants([policy({ effect: "allow" }, { mode: "monitor" })], NO_GRANTS)).toBe(false);
});

test("replacing and removing one policy leaves the others, and the former index, as they were", () => {
  const deny = policy({ principals: { agents: ["agent-1", "agent-2"] }, resources: { servers: [SERVER.id] } });
  const before = createPolicyIndex([deny]);
  const replaced = withPolicy(before, policy({ effect: "allow" }, { id: deny.id }));
  const removed = withoutPolicy(before, deny.id);
  expect(decide(before, call(), GRANTS).decision).toBe("deny");
  expect(decide(replaced, call(), NO_GRANTS).decision).toBe("allow");
  expect(decide(removed, call(), GRANTS).reason).toBe("assignment");
  expect(removed.buckets.size).toBe(0);
});

test("a Cedar text decides as a rule does", () => {
  const text =
    "forbid (principal, action, resource) when { context.args has a && context.args.a > 5 && resource is Runlayer::Tool && resource.destructive };";
  const { ast, effect } = parsePolicy(text);
  const compiled = compilePolicy({ id: "t", name: "t", mode: "enforce", effect, ast });
  expect(outcome([compiled], call({ args: () => ({ a: 6 }) }))).toBe("deny policy");
  expect(outcome([compiled], call({ args: () => ({ a: 5 }) }))).toBe("allow assignment");
});
