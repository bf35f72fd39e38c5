import { expect, test } from "vitest";
import { bindingHashOf } from "./approval-binding.ts";
import type { HeldCall } from "./approvals.ts";

const named = (id: string) => ({ id, name: `name of ${id}` });

const call: HeldCall = {
  agent: named("agent"),
  member: named("member"),
  server: named("server"),
  action: "call_tool",
  target: { type: "tool", name: "tool" },
  requester: null,
  toolDigest: "digest",
  argumentsHash: "arguments",
  payload: {},
  policies: [],
  correlationId: "correlation",
};
const run: HeldCall = {
  ...call,
  server: null,
  action: "run_skill",
  target: { type: "skill", ...named("skill"), version: 1 },
};

const OTHER: readonly (readonly [string, HeldCall])[] = [
  ["agent", { ...call, agent: named("other") }],
  ["member", { ...call, member: named("other") }],
  ["no member", { ...call, member: null }],
  ["server", { ...call, server: named("other") }],
  ["action", { ...call, action: "get_prompt" }],
  ["kind of target", { ...call, target: { type: "prompt", name: "tool" } }],
  ["name", { ...call, target: { type: "tool", name: "other" } }],
  ["a name with half a surrogate pair", { ...call, target: { type: "tool", name: "tool\ud83d" } }],
  ["what would replace it", { ...call, target: { type: "tool", name: "tool\ufffd" } }],
  ["its escape", { ...call, target: { type: "tool", name: '"tool\\ud83d"' } }],
  ["digest", { ...call, toolDigest: "other" }],
  ["no digest", { ...call, toolDigest: undefined }],
  ["arguments", { ...call, argumentsHash: "other" }],
  ["requester", { ...call, requester: { type: "key", ...named("key") } }],
  ["skill", run],
  ["other skill", { ...run, target: { type: "skill", ...named("other"), version: 1 } }],
  ["version", { ...run, target: { type: "skill", ...named("skill"), version: 2 } }],
];

test("everything that an approval is bound to makes another one", () => {
  const hashes = [call, ...OTHER.map(([, other]) => other)].map(bindingHashOf);
  expect(new Set(hashes).size).toBe(hashes.length);
});

test("names that are only shown, and what ties events together, do not count", () => {
  const shown = { ...call, agent: { id: "agent", name: "renamed" }, payload: { a: 1 }, correlationId: "other" };
  expect(bindingHashOf(shown)).toBe(bindingHashOf(call));
  const renamed = { type: "skill", id: "skill", name: "renamed", version: 1 } as const;
  expect(bindingHashOf({ ...run, target: renamed })).toBe(bindingHashOf(run));
});

test("approvals that are stored stay valid: the hash of a call is what it was", () => {
  expect(bindingHashOf(call)).toBe("b5d1ac20301c375878c8b0648fc7af765e76a831cbae3957f0dc5ff6d2e60ec4");
  expect(bindingHashOf(run)).toBe("06038021c2384d967cb0a1a306f7bd535308165f193ccf348587792062ac8c71");
});
