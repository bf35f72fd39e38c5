import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let url: string;
const health: string[] = [];
/** The calls that the server works on, by the id of their request. */
const working = new Map<unknown, Received>();
let begin: (received: Received) => void;

beforeAll(async () => {
  harness = await startHarness({
    observer: {
      toolsListed: () => undefined,
      keyUsed: () => undefined,
      keyDenied: () => undefined,
      health: (_id, { state }) => health.push(state),
    },
  });
  upstream = await startUpstream((received) => {
    if (received.message.method !== "tools/call") return plainServer(received);
    working.set(received.message.id, received);
    begin(received);
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  alice = await harness.addAgent("alice", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

beforeEach(() => {
  health.length = 0;
  harness.problems.length = 0;
  working.clear();
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

function beginStream(received: Received): void {
  startSse(received);
  received.response.write(`id: ev-1\ndata: \n\n`);
}

const cancelled = (requestId: number) => ({
  jsonrpc: "2.0",
  method: "notifications/cancelled",
  params: { requestId },
});

async function openSession(): Promise<Record<string, string>> {
  const opened = await post(url, alice.key, request(crypto.randomUUID(), "initialize", {}));
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

const ENDS: readonly (readonly [string, (received: Received) => void, (received: Received) => void])[] = [
  ["a stream that ends", beginStream, ({ response }) => response.end()],
  ["a stream that breaks off", beginStream, ({ response }) => response.destroy()],
  ["a connection that ends before any answer", () => undefined, ({ response }) => response.destroy()],
  ["an answer without a message", () => undefined, ({ response }) => response.writeHead(202).end()],
];

test.each(ENDS)(
  "a call that its client takes back ends as cancelled, without a fault: %s",
  async (...[, start, end]) => {
    begin = start;
    const session = await openSession();
    const answer = post(url, alice.key, call(7, "a"), { headers: session });
    await expect.poll(() => working.has(7)).toBe(true);
    expect((await post(url, alice.key, cancelled(7), { headers: session })).status).toBe(202);
    const received = working.get(7);
    if (received !== undefined) end(received);
    expect((await answer).messages.filter(({ error }) => error !== undefined)).toEqual([]);
    expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "client_cancelled" });
    expect(harness.problems).toEqual([]);
    expect(new Set(health)).toEqual(new Set(["ok"]));
  },
);

test.each([
  ["in another session", true],
  ["of another client without a session", false],
])("a call is not taken back by its like %s", async (_where, hasSessions) => {
  begin = (received) => {
    startSse(received);
    received.response.flushHeaders();
  };
  const sessions = hasSessions ? [await openSession(), await openSession()] : [{}, {}];
  const streams = await Promise.all(
    sessions.map((session) => openStream(url, streamInit(alice.key, call(8, "a"), session))),
  );
  await post(url, alice.key, cancelled(8), { headers: sessions[0] ?? {} });
  const [before] = harness.problems;
  upstream.server.closeAllConnections();
  const last = await streams[1]?.next();
  expect(last?.message).toMatchObject({ id: 8, error: { code: -32603 } });
  expect(before).toBeUndefined();
});
