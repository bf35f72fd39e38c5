import { afterAll, beforeAll, expect, test } from "vitest";
import { RELATED_TASK } from "../../src/gateway/envelope/envelope.ts";
import { call, openStream, post, request, streamInit, type Message, type OpenStream } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import {
  plainServer,
  result,
  sendEvent,
  startSse,
  startUpstream,
  type Received,
  type TestUpstream,
} from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let url: string;
/** The call that stands open: on its stream the server asks. */
let open: Received | undefined;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    if (received.message.method !== "tools/call") return plainServer(received);
    open = received;
    startSse(received);
    received.response.write(": open\n\n");
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  alice = await harness.addAgent("alice", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

interface Conversation extends AsyncDisposable {
  readonly stream: OpenStream;
  readonly session: Record<string, string>;
  /** Lets the server send a message; gives what the client gets. */
  readonly ask: (message: object) => Promise<Message | undefined>;
  readonly send: (message: object) => Promise<number>;
}

/** A session with a call of a tool that stays open. */
async function converse(): Promise<Conversation> {
  const opened = await post(url, alice.key, request(crypto.randomUUID(), "initialize", {}));
  const session = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
  };
  const stream = await openStream(url, streamInit(alice.key, call(1, "work"), session));
  return {
    stream,
    session,
    async ask(message) {
      if (open === undefined) throw new Error("no call is open");
      sendEvent(open, message);
      return (await stream.next())?.message;
    },
    send: async (message) => (await post(url, alice.key, message, { headers: session })).status,
    async [Symbol.asyncDispose]() {
      stream.close();
      await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
    },
  };
}

const sampling = (id: string) => request(id, "sampling/createMessage", { messages: [], maxTokens: 1, task: {} });
const task = (taskId: string) => ({ taskId, status: "working", ttl: null });
const answerTo = (id: string, value: object) => ({ jsonrpc: "2.0", id, result: value });
const lastAtUpstream = (): Message => upstream.received.at(-1)?.message ?? {};

test("a client runs a task for the server under an id of its own", async () => {
  await using conversation = await converse();
  const { ask, send } = conversation;
  expect(await ask(sampling("q1"))).toMatchObject({ id: "q1" });
  expect(await send(answerTo("q1", { task: task("own-1") }))).toBe(202);
  expect(lastAtUpstream().result).toMatchObject({ task: { taskId: "own-1" } });
  expect((await harness.events("sampling.create")).at(-1)).toMatchObject({ outcome: "success" });
  expect(await ask(request("q2", "tasks/get", { taskId: "own-1" }))).toMatchObject({ params: { taskId: "own-1" } });
  expect(await send(answerTo("q2", task("own-1")))).toBe(202);
  expect(await send({ jsonrpc: "2.0", method: "notifications/tasks/status", params: task("own-1") })).toBe(202);
  expect(lastAtUpstream().params).toMatchObject({ taskId: "own-1" });
  expect(await ask(request("q3", "tasks/list", { cursor: "page-2" }))).toMatchObject({ params: { cursor: "page-2" } });
  expect(await send(answerTo("q3", { tasks: [task("own-1"), task("own-2")], nextCursor: "page-3" }))).toBe(202);
  expect(lastAtUpstream().result).toMatchObject({ nextCursor: "page-3" });
  expect(await ask(request("q4", "tasks/result", { taskId: "own-2" }))).toMatchObject({ id: "q4" });
  const final = { role: "assistant", content: [], _meta: { [RELATED_TASK]: { taskId: "own-2" } } };
  expect(await send(answerTo("q4", final))).toBe(202);
  expect(lastAtUpstream().result).toEqual(final);
});

test("a server asks a client about no task but those of this session", async () => {
  await using first = await converse();
  await first.ask(sampling("q1"));
  expect(await first.send(answerTo("q1", { task: task("own-3") }))).toBe(202);
  first.stream.close();
  await using second = await converse();
  for (const taskId of ["own-3", "of-another"]) {
    if (open === undefined) throw new Error("no call is open");
    sendEvent(open, request(taskId, "tasks/get", { taskId }));
    await expect.poll(lastAtUpstream).toMatchObject({ id: taskId, error: { code: -32_602 } });
  }
  // Nothing of that has reached the client.
  expect(await second.ask(sampling("q2"))).toMatchObject({ id: "q2" });
});

test("an answer for a task that is nobody's leaves the question open, on record", async () => {
  await using conversation = await converse();
  const { ask, send } = conversation;
  await ask(sampling("q1"));
  const before = upstream.received.length;
  const forged = { role: "assistant", content: [], _meta: { [RELATED_TASK]: { taskId: "of-another" } } };
  await send(answerTo("q1", forged));
  expect(upstream.received.length).toBe(before);
  expect((await harness.events("message.refused")).at(-1)).toMatchObject({
    outcome: "denied",
    reason: "unknown_handle",
  });
  expect(await send(answerTo("q1", { role: "assistant", content: [] }))).toBe(202);
});

test("a server's own task stays sealed in what it asks and in the answer", async () => {
  await using conversation = await converse();
  const { send, stream, session } = conversation;
  if (open === undefined) throw new Error("no call is open");
  sendEvent(open, result(open, { task: task("server-1") }));
  open.response.end();
  expect((await stream.next())?.message).toMatchObject({ id: 1 });
  stream.close();
  const asking = await openStream(url, streamInit(alice.key, call(2, "work"), session));
  sendEvent(open, request("q1", "elicitation/create", { message: "?", _meta: { [RELATED_TASK]: task("server-1") } }));
  const asked = (await asking.next())?.message;
  expect(JSON.stringify(asked)).not.toContain("server-1");
  await send(answerTo("q1", { action: "accept", _meta: asked?.params?.["_meta"] }));
  expect(lastAtUpstream().result).toMatchObject({ _meta: { [RELATED_TASK]: { taskId: "server-1" } } });
  asking.close();
});
