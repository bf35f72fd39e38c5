import { expect, test } from "vitest";
import { type CompiledPolicy, compilePolicy } from "./compiled-policy.ts";
import { parseRule } from "./parse-policy.ts";
import { createPolicyIndex } from "./policy-index.ts";
import { type RecordedCall, replay, type ReplayRules } from "./replay.ts";
import { createPolicyRequest, createSubject, createTarget } from "./request.ts";
import type { PolicyCondition, PolicyRule } from "./rule.ts";

const SERVER = { id: "0198f000-0000-7000-8000-000000000001", name: "payments", groups: [] };
const SUBJECT = createSubject({ agent: { id: "a", name: "claude", type: "cursor", groups: [] } });
const DELETE = createTarget({ kind: "tool", server: SERVER, name: "delete" });
const READ = createTarget({ kind: "tool", server: SERVER, name: "read" });

function recorded(target: typeof READ, args?: unknown): RecordedCall {
  const at = { args: () => args, nowMs: 0, minuteOfDay: 0, weekday: "monday" };
  const example = { agent: "claude", server: "payments", tool: target.uid.id, time: "2026-11-22T00:00:00.000Z" };
  const request = createPolicyRequest({ subject: SUBJECT, target }, "call_tool", at);
  return { message: { request }, hasArguments: args !== undefined, example };
}

function compiled(rule: Partial<PolicyRule>): CompiledPolicy {
  const full: PolicyRule = {
    effect: "deny",
    principals: { everyone: true },
    resources: { tools: ["delete"] },
    ...rule,
  };
  const { ast, effect } = parseRule(full);
  return compilePolicy({ id: JSON.stringify(rule), name: "p", mode: "enforce", effect, ast });
}

function rules(policies: readonly CompiledPolicy[], assignmentGrantsAccess = true): ReplayRules {
  return { index: createPolicyIndex(policies), settings: { assignmentGrantsAccess } };
}

const LARGE: readonly PolicyCondition[] = [{ field: "args.amount", operator: "gt", value: 10 }];
const CALLS = [recorded(DELETE, { amount: 5 }), recorded(DELETE, { amount: 50 }), recorded(READ, {}), recorded(DELETE)];

test("counts what a new rule would have denied, held and allowed", () => {
  const denied = replay(CALLS, rules([]), rules([compiled({})]));
  expect(denied).toMatchObject({ replayed: 4, newlyDenied: 3, newlyAllowed: 0, newlyHeld: 0, undetermined: 0 });
  expect(denied.examples[0]).toMatchObject({ agent: "claude", before: "allow", after: "deny" });
  expect(replay(CALLS, rules([compiled({})]), rules([]))).toMatchObject({ newlyAllowed: 3 });
  expect(replay(CALLS, rules([]), rules([compiled({ effect: "require_approval" })]))).toMatchObject({ newlyHeld: 3 });
  expect(replay(CALLS, rules([]), rules([], false))).toMatchObject({ newlyDenied: 4 });
});

test("does not guess where the rule depends on arguments that were not kept", () => {
  const onAmount = compiled({ conditions: LARGE });
  expect(replay(CALLS, rules([]), rules([onAmount]))).toMatchObject({ newlyDenied: 1, undetermined: 1 });
  // A rule that speaks about the call before and after changes nothing, whatever it says.
  expect(replay(CALLS, rules([onAmount]), rules([onAmount]))).toMatchObject({ newlyDenied: 0, undetermined: 0 });
  expect(replay(CALLS, rules([onAmount]), rules([onAmount, compiled({})]))).toMatchObject({
    newlyDenied: 1,
    undetermined: 1,
  });
});

test("a call whose sender may not connect is denied, whatever its arguments were", () => {
  const connect = createPolicyRequest(
    { subject: SUBJECT, target: createTarget({ kind: "server", server: SERVER }) },
    "connect",
    {
      nowMs: 0,
      minuteOfDay: 0,
      weekday: "monday",
    },
  );
  const calls = [recorded(READ, {}), recorded(DELETE)].map((call) => ({
    ...call,
    message: call.message && { ...call.message, connect },
  }));
  const kept = rules([compiled({ resources: { everything: true }, actions: ["connect"] })]);
  expect(replay(calls, rules([]), kept)).toMatchObject({ newlyDenied: 2, undetermined: 0 });
  expect(replay(calls, kept, rules([]))).toMatchObject({ newlyAllowed: 2, undetermined: 0 });
  const onAmount = compiled({ conditions: LARGE });
  expect(replay(calls, rules([onAmount]), kept)).toMatchObject({ newlyDenied: 1, undetermined: 1 });
  expect(replay(calls, kept, kept)).toMatchObject({ newlyDenied: 0, undetermined: 0 });
  // Only what forbids to connect counts: neither a hold of it nor the want of a grant.
  const held = rules([compiled({ effect: "require_approval", resources: { everything: true }, actions: ["connect"] })]);
  expect(replay(calls, rules([]), held)).toMatchObject({ newlyDenied: 0, newlyHeld: 0 });
});

test("counts a call that cannot be rebuilt as undetermined", () => {
  const lost: RecordedCall = {
    hasArguments: false,
    example: CALLS[0]?.example ?? { agent: "", server: "", tool: "", time: "" },
  };
  expect(replay([lost], rules([]), rules([compiled({})]))).toMatchObject({
    replayed: 1,
    undetermined: 1,
    newlyDenied: 0,
  });
});

test("shows few examples, however many calls change", () => {
  const many = Array.from({ length: 100 }, () => recorded(DELETE, {}));
  expect(replay(many, rules([]), rules([compiled({})])).examples).toHaveLength(5);
});
