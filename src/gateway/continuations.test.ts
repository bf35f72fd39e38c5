import { expect, test } from "vitest";
import { Continuations } from "./continuations.ts";
import { parseEnvelope, parseUpstreamEnvelope } from "./envelope/envelope.ts";

const call = { correlationId: "c", approvalId: "a", boundTo: "b" };

function continuations(result: object, at = 1000): Continuations {
  const answer = parseUpstreamEnvelope(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, result })));
  if (answer.kind !== "response") throw new Error("no answer");
  const kept = new Continuations();
  kept.note(answer, call, at);
  return kept;
}

function request(params: object) {
  const parsed = parseEnvelope(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 2, method: "tools/call", params })));
  if (parsed.kind !== "request") throw new Error("no request");
  return parsed;
}

const ASKED = { resultType: "input_required", requestState: "s" };
const sought = { boundTo: "b", state: "s", since: 0 };

test("gives the approved call once, to exactly what continues it", () => {
  const kept = continuations(ASKED);
  expect(kept.take(request({}), { ...sought, state: "t" })).toBeUndefined();
  expect(kept.take(request({}), { ...sought, boundTo: "other" })).toBeUndefined();
  expect(kept.take(request({}), sought)).toBe(call);
  expect(kept.take(request({}), sought)).toBeUndefined();
});

test("gives no call that its upstream asked for too long ago, or did not ask for", () => {
  expect(continuations(ASKED).take(request({}), { ...sought, since: 1001 })).toBeUndefined();
  expect(continuations({ ...ASKED, resultType: "complete" }).take(request({}), sought)).toBeUndefined();
});

test("without a state it is the answers that continue a call, not a repetition of it", () => {
  const stateless = { ...sought, state: undefined };
  const kept = continuations({ resultType: "input_required" });
  expect(kept.take(request({}), stateless)).toBeUndefined();
  expect(kept.take(request({ inputResponses: {} }), stateless)).toBe(call);
});
