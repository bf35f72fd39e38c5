import { afterAll, beforeAll, expect, test } from "vitest";
import { decideApproval } from "../../src/domain/approval.ts";
import { showApproval } from "../../src/operations/approvals/approval-output.ts";
import { parseRule } from "../../src/policy/parse-policy.ts";
import { aPolicy } from "../harness/entities.ts";
import { call, post, request, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startUpstream, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;

let other: AgentKey;
let whenApproved: () => Promise<void> = () => Promise.resolve();

beforeAll(async () => {
  harness = await startHarness({
    hasApprovals: true,
    onClaimed: async ({ state }) => {
      if (state === "approved") await whenApproved();
    },
    limits: { heldCallMs: 1000, heldCallsMax: 3, heldCallsPerAgentMax: 2 },
  });
  upstream = await startUpstream(plainServer);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  other = await harness.addAgent("b", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
  const rule = { principals: { everyone: true }, resources: { tools: ["delete_*"] }, actions: ["call_tool"] } as const;
  const { ast, cedar } = parseRule({ effect: "require_approval", ...rule });
  const policy = aPolicy({ effect: "require_approval", rule: { ...rule, actions: ["call_tool"] }, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

async function send(message: object, from = agent): Promise<readonly Message[]> {
  const posted = await post(url, from.key, message);
  expect(posted.status).toBe(200);
  return posted.messages;
}

const pending = async () =>
  (await harness.store.read((tx) => tx.approvals.list({ status: "pending", now: Date.now() }, { limit: 200 }))).items;

async function decideAll(status: "approved" | "denied", ttlMs = 60_000): Promise<void> {
  const by = { type: "key", id: "k", name: "k" } as const;
  for (const approval of await pending()) {
    const decision = { at: Date.now(), by, note: null };
    await harness.store.transaction((tx) => tx.approvals.save(decideApproval(approval, { status, decision, ttlMs })));
  }
}

test("a call waits no longer than the limit, and then says which approval it waits for", async () => {
  const before = performance.now();
  const [answer] = await send(call(1, "delete_file", { path: "slow" }));
  expect(performance.now() - before).toBeGreaterThan(900);
  const approvalId = String(answer?.error?.data?.["approvalId"]);
  expect(answer).toMatchObject({ id: 1, error: { code: -32012, data: { type: "runlayer.approval_pending" } } });
  expect((await pending()).map(({ id }) => id)).toEqual([approvalId]);
  expect(answer?.error?.message).toContain(approvalId);
  await decideAll("approved");
  expect(await send(call(2, "delete_file", { path: "slow" }))).toMatchObject([{ id: 2, result: {} }]);
});

test("who decides sees every text to its end, or that there is more than is shown", async () => {
  const command = `echo ${"ok ".repeat(200)}; rm -rf /`;
  await send(call(1, "delete_file", { command }));
  await send(call(2, "delete_file", { command: "x".repeat(20_000) }), other);
  const shown = (await pending()).map((approval) => showApproval(approval, Date.now()));
  const kept = (part: object) => expect.objectContaining(part);
  expect(shown).toContainEqual(kept({ arguments: { command } }));
  const digest = expect.stringMatching(/^sha256:[0-9a-f]{64}$/);
  expect(shown).toContainEqual(kept({ argumentsDigest: digest, argumentsBytes: 20_014 }));
  const [event] = (await harness.events("tool.call")).filter(({ details }) => details["argumentsAltered"] === true);
  expect(JSON.stringify(event?.details)).not.toContain("rm -rf");
  await decideAll("denied");
});

test("tells the progress of what waits under the client's token, and gives the answer on the same stream", async () => {
  const meta = { _meta: { progressToken: "tok-1" } };
  const params = { name: "delete_file", arguments: { path: "told" }, ...meta };
  const messages = await send(request("x", "tools/call", params));
  expect(messages[0]).toMatchObject({
    method: "notifications/progress",
    params: { progressToken: "tok-1", progress: 1 },
  });
  expect(messages.at(-1)).toMatchObject({ id: "x", error: { code: -32012 } });
  const waiting = send(request("y", "tools/call", params));
  await new Promise((resolve) => setTimeout(resolve, 100));
  await decideAll("approved");
  expect((await waiting).at(-1)).toMatchObject({ id: "y", result: { content: [{ type: "text" }] } });
});

test("a node keeps a bounded number of calls open, and leaves room for another agent's", async () => {
  const calls = [1, 2, 3].map((id) => send(call(id, "delete_file", { path: `many-${id}` })));
  const sentAt = performance.now();
  const theirs = send(call(1, "delete_file", { path: "theirs" }), other).then(() => performance.now() - sentAt);
  const before = performance.now();
  await Promise.race(calls);
  expect(performance.now() - before).toBeLessThan(800);
  const answers = (await Promise.all(calls)).flat();
  expect(answers.map(({ error }) => error?.code)).toEqual([-32012, -32012, -32012]);
  expect(await theirs).toBeGreaterThan(900);
  await decideAll("denied");
});

test("an approval that came too late is refused, and the call is filed anew", async () => {
  const first = await send(call(1, "delete_file", { path: "late" }));
  await decideAll("approved", 1);
  await new Promise((resolve) => setTimeout(resolve, 5));
  const before = upstream.received.length;
  const second = await send(call(2, "delete_file", { path: "late" }));
  expect(second).toMatchObject([{ error: { code: -32012 } }]);
  expect(second[0]?.error?.data?.["approvalId"]).not.toBe(first[0]?.error?.data?.["approvalId"]);
  expect(upstream.received.length).toBe(before);
  const held = (await harness.events("tool.call")).filter(({ outcome }) => outcome === "held");
  expect(held.at(-1)?.details["approvalId"]).toBe(second[0]?.error?.data?.["approvalId"]);
  await decideAll("denied");
});

test("a call that is taken back while its approval is claimed is not sent", async () => {
  const message = call("taken", "delete_file", { path: "taken" });
  await send(message);
  await decideAll("approved");
  whenApproved = async () => {
    const params = { requestId: "taken" };
    const told = await post(url, agent.key, { jsonrpc: "2.0", method: "notifications/cancelled", params });
    expect(told.status).toBe(202);
  };
  const before = upstream.received.length;
  try {
    expect(await send(message)).toMatchObject([{ id: "taken", error: { code: -32012 } }]);
  } finally {
    whenApproved = () => Promise.resolve();
  }
  expect(upstream.received.length).toBe(before);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "client_cancelled" });
});

test("one agent has a bounded number of calls that wait for a person", async () => {
  const filed = Array.from({ length: 100 }, (_item, index) => call(index, "delete_file", { path: `flood-${index}` }));
  await Promise.all(filed.map((message) => send(message)));
  expect(await send(call(101, "delete_file", { path: "one-more" }))).toMatchObject([
    { error: { code: -32011, data: { reason: "too_many_pending" } } },
  ]);
  expect(await pending()).toHaveLength(100);
  await decideAll("denied");
});

test("a shutdown lets the clients of held calls know at once", async () => {
  const waiting = send(call(1, "delete_file", { path: "end" }));
  await new Promise((resolve) => setTimeout(resolve, 100));
  const before = performance.now();
  await harness.gateway.drain(5000);
  expect(performance.now() - before).toBeLessThan(800);
  expect(await waiting).toMatchObject([{ error: { code: -32012 } }]);
});
