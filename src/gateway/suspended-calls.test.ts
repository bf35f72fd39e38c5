import { afterEach, beforeEach, expect, test } from "vitest";
import { aDecision, allEvents, newFolder, openAudit, removeFolder, type AuditParts } from "../../test/harness/audit.ts";
import { parseEnvelope } from "./envelope/envelope.ts";
import { PendingCall } from "./pending-call.ts";
import { SuspendedCalls } from "./suspended-calls.ts";

let folder: string;
let audit: AuditParts;

beforeEach(async () => {
  folder = newFolder();
  audit = await openAudit(folder);
});

afterEach(async () => {
  await audit.log.close();
  await audit.store.close();
  removeFolder(folder);
});

/** A call that is on record, or one of a method that is not recorded when it is allowed. */
function aCall(id: number, { params = {}, isRecorded = true }: { params?: object; isRecorded?: boolean } = {}) {
  const envelope = parseEnvelope(Buffer.from(JSON.stringify({ jsonrpc: "2.0", id, method: "tools/list", params })));
  if (envelope.kind !== "request") throw new Error("a request was written");
  const rule = { action: "call_tool", target: "tool", event: "tool.call" } as const;
  const facts = { envelope, rule, tool: "a", serverName: "s", receivedAt: performance.now() };
  return new PendingCall({ audit: audit.log }, facts, isRecorded ? aDecision : undefined);
}

test("a call that nobody came back for is given up, and has its event", async () => {
  const calls = new SuspendedCalls();
  const [first, second] = [aCall(1), aCall(1)];
  for (const call of [first, second]) await call.durable;
  calls.add("first", first, { agentId: "a", now: 0 });
  calls.add("second", second, { agentId: "a", now: 0 });
  calls.touch("second", 10);
  calls.expire(10);
  expect([first.isSettled, second.isSettled]).toEqual([true, false]);
  expect([calls.take("second", 2), calls.take("second", 1)]).toEqual([undefined, second]);
  await audit.log.flush();
  expect(await allEvents(audit.store)).toMatchObject([{ id: first.draft?.id, outcome: "error", reason: "no_answer" }]);
});

test("holds no message, and tells still whether it asked for the rest of a list", () => {
  const calls = new SuspendedCalls();
  const [large, rest] = [aCall(1, { params: { x: "y".repeat(100_000) } }), aCall(2, { params: { cursor: "2", y: 1 } })];
  calls.add("large", large, { agentId: "a", now: 0 });
  calls.add("rest", rest, { agentId: "a", now: 0 });
  expect(large.facts.envelope).toMatchObject({ id: 1, idText: "1", method: "tools/list", params: { members: [] } });
  expect(large.facts.envelope.bytes.length).toBe(0);
  expect(rest.facts.envelope.params?.members.map(({ name }) => name)).toEqual(["cursor"]);
});

test("gives up the oldest of too many", () => {
  const calls = new SuspendedCalls();
  const all = Array.from({ length: 10_002 }, (_item, id) => aCall(id, { isRecorded: false }));
  for (const [index, call] of all.entries()) calls.add(`call-${index}`, call, { agentId: `a${index % 20}`, now: 0 });
  expect(all.filter(({ isSettled }) => isSettled)).toEqual(all.slice(0, 2));
});

test("gives up an agent's own oldest where it has too many, and no call of another", () => {
  const calls = new SuspendedCalls();
  const other = aCall(1, { isRecorded: false });
  calls.add("other", other, { agentId: "other", now: 0 });
  const own = Array.from({ length: 1_003 }, (_item, id) => aCall(id, { isRecorded: false }));
  for (const [index, call] of own.entries()) calls.add(`own-${index}`, call, { agentId: "a", now: 0 });
  expect(own.filter(({ isSettled }) => isSettled)).toEqual(own.slice(0, 3));
  expect(other.isSettled).toBe(false);
  // What is taken leaves room.
  expect(calls.take("own-3", 3)).toBe(own[3]);
  calls.add("one-more", aCall(1, { isRecorded: false }), { agentId: "a", now: 0 });
  expect(own[4]?.isSettled).toBe(false);
});
