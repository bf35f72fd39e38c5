import { expect, test } from "vitest";
import { Continuations } from "./continuations.ts";
import { parseEnvelope, parseUpstreamEnvelope } from "./envelope/envelope.ts";

const call = { correlationId: "c", approvalId: "a", bindingHash: "b" };

function note(kept: Continuations, result: object, expiresAt = 1000): Continuations {
  const answer = parseUpstreamEnvelope(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, result })));
  if (answer.kind !== "response") throw new Error("no answer");
  kept.note(answer, call, expiresAt);
  return kept;
}

const continuations = (result: object): Continuations => note(new Continuations(), result);

function request(params: object) {
  const parsed = parseEnvelope(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/call", params })));
  if (parsed.kind !== "request") throw new Error("no request");
  return parsed;
}

const asked = (requestState: string) => ({ resultType: "input_required", requestState });
const sought = { bindingHash: "b", state: "s", now: 0 };

test("gives the approved call once, to exactly what continues it", () => {
  const kept = continuations(asked("s"));
  expect(kept.take(request({}), { ...sought, state: "t" })).toBeUndefined();
  expect(kept.take(request({}), { ...sought, bindingHash: "other" })).toBeUndefined();
  expect(kept.take(request({}), sought)).toBe(call);
  expect(kept.take(request({}), sought)).toBeUndefined();
});

test("gives no call that has expired, or that its upstream did not ask for", () => {
  expect(continuations(asked("s")).take(request({}), { ...sought, now: 999 })).toBe(call);
  expect(continuations(asked("s")).take(request({}), { ...sought, now: 1000 })).toBeUndefined();
  expect(continuations({ ...asked("s"), resultType: "complete" }).take(request({}), sought)).toBeUndefined();
});

test("forgets what has expired, and only that", () => {
  const kept = note(continuations(asked("s")), asked("later"), 1001);
  kept.expire(1000);
  expect(kept.take(request({}), sought)).toBeUndefined();
  expect(kept.take(request({}), { ...sought, state: "later" })).toBe(call);
});

test("keeps a bounded number: the oldest goes first, one that was asked for again last", () => {
  const kept = continuations(asked("oldest"));
  note(kept, asked("again"));
  note(kept, asked("again-too"));
  note(kept, asked("again"));
  for (let index = 0; index < 9_999; index += 1) note(kept, asked(`many-${index}`));
  const found = (state: string) => kept.take(request({}), { ...sought, state });
  expect(found("oldest")).toBeUndefined();
  expect(found("again")).toBe(call);
});

test("without a state it is the answers that continue a call, not a repetition of it", () => {
  const stateless = { ...sought, state: undefined };
  const kept = continuations({ resultType: "input_required" });
  expect(kept.take(request({}), stateless)).toBeUndefined();
  expect(kept.take(request({ inputResponses: {} }), stateless)).toBe(call);
});
