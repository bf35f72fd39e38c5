import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { decideApproval } from "../../src/domain/approval.ts";
import type { Action } from "../../src/domain/policy.ts";
import { parseRule } from "../../src/policy/parse-policy.ts";
import { aPolicy } from "../harness/entities.ts";
import { post, request, type Message } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendEvent, sendJson, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

// What a server of 2026-07-28 asks within its answers, and what comes back with the next message.
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
const QUESTION = { message: "sure?", requestedSchema: { type: "object", properties: {} } };
const SAMPLING = { method: "sampling/createMessage", params: { messages: [], maxTokens: 1 } };
const ELICITATION = { method: "elicitation/create", params: QUESTION };

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let bob: AgentKey;
let url: string;
/** What the next answer asks for. */
let asked: Record<string, unknown>;
let isStream = false;
const policies: string[] = [];

beforeAll(async () => {
  harness = await startHarness({ hasApprovals: true, limits: { heldCallMs: 300 } });
  upstream = await startUpstream(serve);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  alice = await harness.addAgent("alice", [{ serverId: server.id }]);
  bob = await harness.addAgent("bob", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterEach(async () => {
  await harness.store.transaction(async (tx) => {
    for (const id of policies.splice(0)) await tx.policies.delete(id);
  });
  isStream = false;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

function serve(received: Received): void {
  const isAnswered = received.message.params?.["inputResponses"] !== undefined;
  const value = isAnswered ? { resultType: "complete", content: [] } : { resultType: "input_required", ...asked };
  if (!isStream) return sendJson(received, result(received, value));
  startSse(received);
  sendEvent(received, result(received, value));
  received.response.end();
}

async function addPolicy(effect: "deny" | "require_approval", action: Action): Promise<void> {
  const rule = { principals: { everyone: true }, resources: { everything: true }, actions: [action] };
  const { ast, cedar } = parseRule({ effect, ...rule });
  const policy = aPolicy({ effect, name: `${effect}-${action}`.replaceAll("_", "-"), rule, ast, cedar });
  await harness.store.transaction((tx) => tx.policies.insert(policy));
  policies.push(policy.id);
}

async function send(params: Record<string, unknown>, agent = alice): Promise<Message | undefined> {
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "ask" };
  const message = request(1, "tools/call", { name: "ask", arguments: { n: 1 }, ...params, _meta: META });
  return (await post(url, agent.key, message, { headers })).messages[0];
}

test.each([false, true])("passes what a server asks, recorded, and the answer (as a stream: %s)", async (stream) => {
  isStream = stream;
  asked = { requestState: "st-1", inputRequests: { q: ELICITATION } };
  const first = await send({});
  expect(first?.result).toMatchObject({ resultType: "input_required", inputRequests: { q: ELICITATION } });
  const { correlationId } = (await harness.events("tool.call")).at(-1) ?? {};
  expect((await harness.events("elicitation.create")).at(-1)).toMatchObject({ outcome: "success", correlationId });
  const answer = { requestState: first?.result?.["requestState"], inputResponses: { q: { action: "accept" } } };
  expect((await send(answer))?.result).toMatchObject({ resultType: "complete" });
});

test.each([false, true])("keeps from the client what it may not be asked (as a stream: %s)", async (stream) => {
  isStream = stream;
  await addPolicy("deny", "sample");
  asked = { requestState: "st-1", inputRequests: { a: ELICITATION, b: SAMPLING } };
  const answer = await send({});
  expect(answer).toMatchObject({ id: 1, error: { code: -32011, data: { policies: [{ name: "deny-sample" }] } } });
  expect((await harness.events("sampling.create")).at(-1)).toMatchObject({ outcome: "denied", reason: "policy" });
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "question_refused" });
});

test.each([{ q: { method: "shell/exec" } }, { q: { method: "ping" } }, { q: {} }])(
  "keeps from the client what nobody knows: %j",
  async (inputRequests) => {
    asked = { requestState: "st-1", inputRequests };
    expect(await send({})).toMatchObject({ error: { code: -32601 } });
  },
);

test.each([false, true])(
  "passes no answer with a name that a client may read as ours (as a stream: %s)",
  async (stream) => {
    isStream = stream;
    for (const name of [
      "InputRequests",
      "inputrequests",
      "INPUTREQUEST\u017f",
      "RequestState",
      "ResultType",
      "NextCursor",
    ]) {
      asked = { [name]: { q: SAMPLING } };
      expect((await send({}))?.error?.code).toBe(-32603);
    }
    asked = { InputRequest: 1, contents: { InputRequests: {} } };
    expect((await send({}))?.result).toMatchObject(asked);
  },
);

test("keeps from the client a request whose method it may read otherwise", async () => {
  asked = { requestState: "st-1", inputRequests: { q: { ...ELICITATION, Method: "sampling/createMessage" } } };
  expect(await send({})).toMatchObject({ error: { code: -32601 } });
});

test.each(["action", "Action"])("decides an answer as everything that it may be (with %s)", async (member) => {
  const content = { type: "text", text: "x" };
  const sampled = { role: "assistant", model: "m", content };
  await addPolicy("deny", "sample");
  const denied = { error: { code: -32011, data: { policies: [{ name: "deny-sample" }] } } };
  expect(await send({ inputResponses: { q: { [member]: "accept", ...sampled } } })).toMatchObject(denied);
  expect(await send({ inputResponses: { q: { [member]: "accept", Role: "assistant", content } } })).toMatchObject(
    denied,
  );
  expect(await send({ inputResponses: { q: { roots: [], Model: "m", content } } })).toMatchObject(denied);
  expect((await send({ inputResponses: { q: { [member]: "accept", content: {} } } }))?.result).toBeDefined();
  await addPolicy("deny", "elicit");
  expect(await send({ inputResponses: { q: { [member]: "accept", roots: [] } } })).toMatchObject({
    error: { code: -32011, data: { policies: [{ name: "deny-elicit" }] } },
  });
});

test("sends no answer that the agent may not give any more", async () => {
  asked = { requestState: "st-1", inputRequests: { q: ELICITATION } };
  const first = await send({});
  await addPolicy("deny", "elicit");
  const before = upstream.received.length;
  const inputResponses = { q: { action: "accept", content: {} } };
  expect(await send({ requestState: first?.result?.["requestState"], inputResponses })).toMatchObject({
    error: { code: -32011, data: { reason: "policy" } },
  });
  expect(
    await send({ requestState: first?.result?.["requestState"], inputResponses: { q: { roots: [] } } }),
  ).toMatchObject({ result: { resultType: "complete" } });
  expect(upstream.received.length).toBe(before + 1);
});

async function decideAll(status: "approved" | "denied"): Promise<number> {
  const { items } = await harness.store.read((tx) =>
    tx.approvals.list({ status: "pending", now: Date.now() }, { limit: 200 }),
  );
  const decision = { at: Date.now(), by: { type: "key", id: "k", name: "k" } as const, note: null };
  await harness.store.transaction(async (tx) => {
    for (const approval of items)
      await tx.approvals.save(decideApproval(approval, { status, decision, ttlMs: 60_000 }));
  });
  return items.length;
}

test.each(["st-9", undefined])(
  "an approved call goes on, once, where its server asks back (state: %s)",
  async (state) => {
    await addPolicy("require_approval", "call_tool");
    const own = { arguments: { for: state ?? "none" } };
    asked = { ...(state === undefined ? {} : { requestState: state }), inputRequests: { q: ELICITATION } };
    expect(await send(own)).toMatchObject({ error: { code: -32012 } });
    expect(await decideAll("approved")).toBe(1);
    const first = await send(own);
    expect(first?.result).toMatchObject({ resultType: "input_required" });
    const sealed = first?.result?.["requestState"];
    const answer = {
      ...own,
      ...(sealed === undefined ? {} : { requestState: sealed }),
      inputResponses: { q: { action: "accept", content: {} } },
    };
    const before = upstream.received.length;
    // Other arguments, another agent, or no answer: not the call that was approved.
    expect(await send({ ...answer, arguments: { for: `not ${state}` } })).toMatchObject({ error: { code: -32012 } });
    expect((await send(answer, bob))?.error?.code).toBe(state === undefined ? -32012 : -32602);
    expect(await send(own)).toMatchObject({ error: { code: -32012 } });
    expect(upstream.received.length).toBe(before);
    expect((await send(answer))?.result).toMatchObject({ resultType: "complete" });
    expect(await send(answer)).toMatchObject({ error: { code: -32012 } });
    expect(upstream.received.length).toBe(before + 1);
    const done = (await harness.events("tool.call")).filter(({ outcome }) => outcome === "success");
    expect(new Set(done.slice(-2).map(({ details }) => details["approvalId"])).size).toBe(1);
    await decideAll("denied");
  },
);
