import { expect, test } from "vitest";
import { matchesGlob } from "./glob.ts";
import { type LintFacts, lintRule } from "./lint-rule.ts";
import type { PolicyCondition, PolicyRule } from "./rule.ts";

const SERVER_ID = "0198f000-0000-7000-8000-000000000001";
const FACTS: LintFacts = {
  tools: [{ serverId: SERVER_ID, name: "delete_row" }],
  principalsPerGroup: new Map([["staff", 2]]),
  serversPerGroup: new Map([["finance", 1]]),
  otherRules: [],
  assignmentGrantsAccess: true,
};
const DENY_ALL: PolicyRule = { effect: "deny", principals: { everyone: true }, resources: { everything: true } };

function codes(rule: Partial<PolicyRule>, facts: Partial<LintFacts> = {}): string[] {
  return lintRule({ ...DENY_ALL, ...rule }, { ...FACTS, ...facts }).map(({ code }) => code);
}

test("warns of tools that nothing matches and of empty groups", () => {
  expect(codes({ resources: { tools: ["delete_*", `${SERVER_ID}/delete_row`, "trait:destructive"] } })).toEqual([]);
  expect(codes({ resources: { tools: ["drop_*", "other/delete_row"] } })).toEqual(["unknown_tool", "unknown_tool"]);
  expect(codes({ principals: { groups: ["staff", "nobody"] }, resources: { groups: ["finance", "none"] } })).toEqual([
    "empty_group",
    "empty_group",
  ]);
});

test("warns of an allow where assignment grants access already", () => {
  expect(codes({ effect: "allow" })).toEqual(["pointless_allow"]);
  expect(codes({ effect: "allow" }, { assignmentGrantsAccess: false })).toEqual([]);
});

function on(field: string, ...tests: readonly (readonly [PolicyCondition["operator"], unknown])[]): PolicyCondition[] {
  return tests.map(([operator, value]) => ({ field, operator, value }));
}

const CONTRADICTIONS: readonly (readonly [readonly PolicyCondition[], boolean])[] = [
  [on("args.a", ["eq", 1], ["eq", 2]), true],
  [on("args.a", ["eq", 1], ["in", [1, 2]]), false],
  [on("args.a", ["in", [1, 2]], ["not_in", [1, 2, 3]]), true],
  [on("args.a", ["gt", 5], ["lt", 5]), true],
  [on("args.a", ["gte", 5], ["lte", 5]), false],
  [on("args.a", ["gt", 5], ["eq", 5]), true],
  [on("context.time", ["gte", "18:00"], ["lt", "08:00"]), true],
  [on("context.time", ["gte", "08:00"], ["lt", "18:00"]), false],
  [on("args.a", ["exists", false], ["eq", 1]), true],
  [[...on("args.a", ["eq", 1]), ...on("args.b", ["eq", 2])], false],
];

test.each(CONTRADICTIONS)("contradiction in %j: %s", (conditions, isFound) => {
  expect(codes({ conditions }).includes("contradictory_conditions")).toBe(isFound);
});

const SHADOWS: readonly (readonly [PolicyRule, Partial<PolicyRule>, boolean])[] = [
  [DENY_ALL, { effect: "require_approval", resources: { tools: ["delete_*"] } }, true],
  [{ ...DENY_ALL, effect: "allow" }, {}, false],
  [{ ...DENY_ALL, conditions: on("args.a", ["eq", 1]) }, { principals: { agents: ["a"] } }, false],
  [
    { ...DENY_ALL, principals: { everyone: true, except: { agents: ["a"] } } },
    { principals: { agents: ["a"] } },
    false,
  ],
  [{ ...DENY_ALL, principals: { agents: ["a", "b"] } }, { principals: { agents: ["a"] } }, true],
  [{ ...DENY_ALL, principals: { agents: ["a"] } }, {}, false],
  [{ ...DENY_ALL, resources: { servers: ["s"] } }, { resources: { servers: ["s"], tools: ["delete_*"] } }, true],
  [{ ...DENY_ALL, resources: { servers: ["s"] } }, { resources: { tools: ["delete_*"] } }, false],
  [{ ...DENY_ALL, resources: { tools: ["delete_*"] } }, { resources: { servers: ["s"] } }, false],
  [{ ...DENY_ALL, resources: { tools: ["delete_*"] } }, { resources: { servers: ["s"], tools: ["delete_*"] } }, true],
  [{ ...DENY_ALL, actions: ["call_tool"] }, {}, false],
  [{ ...DENY_ALL, resources: { skills: ["x"] } }, { resources: { servers: ["s"] } }, false],
];

test.each(SHADOWS)("%j shadows %j: %s", (wider, rule, isShadowed) => {
  expect(codes(rule, { otherRules: [{ name: "wider", rule: wider }] }).includes("shadowed")).toBe(isShadowed);
});

test("a glob's only wildcard is the star", () => {
  expect(matchesGlob("get_*", "get_x")).toBe(true);
  expect(matchesGlob("*_row*", "delete_row")).toBe(true);
  expect(matchesGlob("a?c", "abc")).toBe(false);
  expect(matchesGlob("*ab*ab", "ab")).toBe(false);
});
