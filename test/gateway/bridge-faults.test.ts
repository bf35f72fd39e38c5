import { afterAll, beforeAll, expect, test } from "vitest";
import type { StdioChild } from "../../src/gateway/stdio/start-child.ts";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit, type OpenStream, type Posted } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { startSseUpstream } from "./sse-upstream.ts";
import type { TestUpstream } from "./upstream.ts";
import { superviseIn } from "./supervisor.ts";

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let legacy: TestUpstream;
let alice: AgentKey;
let bob: AgentKey;
/** The latest of each server. */
const childByServer = new Map<string, StdioChild>();

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = superviseIn(place);
  harness = await startHarness({
    async startChild(spec) {
      const child = await supervisor.start(spec);
      childByServer.set(spec.label, child);
      return child;
    },
  });
  legacy = await startSseUpstream();
  const stdio = (name: string, shareable: boolean, args: readonly string[] = []) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder, shareable },
      { args: [place.script, ...args] },
    );
  const servers = [
    await stdio("own", false),
    await stdio("shared", true),
    await stdio("unwilling", false, ["unwilling"]),
    await stdio("ambiguous", false, ["ambiguous"]),
    await stdio("shared-ambiguous", true, ["ambiguous"]),
    await harness.addServer({ name: "legacy", transport: "sse", url: `${legacy.url}/sse` }),
  ];
  const assigned = servers.map(({ id }) => ({ serverId: id }));
  alice = await harness.addAgent("alice", assigned);
  bob = await harness.addAgent("bob", assigned);
}, 60_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await legacy.close();
  place.remove();
});

/** One agent's session with a server. */
interface Session {
  say(message: object): Promise<Posted>;
  /** Resolves when the server has got it. */
  start(message: object): Promise<OpenStream>;
  end(): Promise<unknown>;
}

const OPEN = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };

async function open(server: string, { key }: AgentKey): Promise<Session> {
  const url = `${harness.url}/gateway/${server}/mcp`;
  const opened = await post(url, key, request("open", "initialize", OPEN));
  expect(opened.messages[0]?.result, opened.text).toBeDefined();
  const headers = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-06-18",
  };
  return {
    say: (message) => post(url, key, message, { headers }),
    start: (message) => openStream(url, streamInit(key, message, headers)),
    end: () => fetch(url, { method: "DELETE", headers: { ...headers, authorization: `Bearer ${key}` } }),
  };
}

const cancelled = (requestId: unknown) => ({
  jsonrpc: "2.0",
  method: "notifications/cancelled",
  params: { requestId, reason: "no more" },
});

test.each(["own", "shared", "legacy"])("ends a request at %s that its client takes back", async (server) => {
  const session = await open(server, alice);
  const problemsBefore = harness.problems.length;
  const callsBefore = (await harness.events("tool.call")).length;
  const taken = await session.start(call("a", "wait"));
  const other = await session.start(call("b", "wait"));
  expect((await session.say(cancelled("a"))).status).toBe(202);
  expect(await taken.next()).toBeUndefined();
  const events = (await harness.events("tool.call")).slice(callsBefore);
  expect(events).toMatchObject([{ outcome: "error", reason: "client_cancelled" }]);
  // The other one waits on.
  await expect.poll(() => harness.gateway.liveExchanges).toBe(1);
  await session.say(cancelled("b"));
  expect(await other.next()).toBeUndefined();
  expect(harness.problems.slice(problemsBefore)).toEqual([]);
  await session.end();
});

test("tells the server whose request is taken back", async () => {
  const session = await open("own", alice);
  const taken = await session.start(call(1, "wait"));
  await session.say(cancelled(1));
  await taken.next();
  expect((await session.say(call(2, "cancelled"))).text).toContain('{\\"cancelled\\":1}');
  await session.end();
});

test("ends with a server that refuses to open a session, once its client has heard why", async () => {
  const refused = await post(`${harness.url}/gateway/unwilling/mcp`, alice.key, request(1, "initialize", OPEN));
  expect(refused.messages).toMatchObject([{ id: 1, error: { code: -32_000 } }]);
  expect(harness.bridge.sessionCount).toBe(0);
  await childByServer.get("unwilling")?.exited;
});

const UNREADABLE = [
  '{"jsonrpc":"2.0","id":ID,"result":{"text":"caf\u00e9"}}',
  '{"jsonrpc":"2.0","id":ID,"result":{"isError":true,"isError":false}}',
];

test.each(["own", "shared", "legacy"])(
  "fails the request whose answer from %s nobody can read, and no other",
  async (server) => {
    const session = await open(server, alice);
    const other = await session.start(call("b", "wait"));
    for (const text of UNREADABLE) {
      const [answer] = (await session.say(call("a", "raw", { text }))).messages;
      expect(answer).toMatchObject({ id: "a", error: { data: { type: "runlayer.upstream_error" } } });
      expect((await harness.events("tool.call")).at(-1)).toMatchObject({
        outcome: "error",
        reason: "upstream_refused",
      });
      expect(harness.problems.at(-1)).toBe(`server \`${server}\`: its answer is no JSON-RPC message`);
    }
    await session.say(cancelled("b"));
    expect(await other.next()).toBeUndefined();
    await session.end();
  },
);

const BATCH = '[{"jsonrpc":"2.0","id":ID,"result":{}}]';

test.each(["own", "shared", "legacy"])(
  "fails the oldest request when %s answers without a name that can be read",
  async (server) => {
    const session = await open(server, alice);
    const oldest = await session.start(call("b", "wait"));
    const latest = await session.start(call("a", "raw", { text: BATCH }));
    expect((await oldest.next())?.message).toMatchObject({ id: "b", error: {} });
    await session.say(cancelled("a"));
    expect(await latest.next()).toBeUndefined();
    await session.end();
  },
);

test("fails no request at a shared child for an answer that may be another session's", async () => {
  const [mine, theirs] = [await open("shared", alice), await open("shared", bob)];
  const problemsBefore = harness.problems.length;
  const innocent = await mine.start(call(1, "wait"));
  const unread = await theirs.start(call(1, "raw", { text: BATCH }));
  await expect.poll(() => harness.problems.slice(problemsBefore)).toEqual([expect.stringContaining("any session's")]);
  for (const [session, stream] of [
    [mine, innocent],
    [theirs, unread],
  ] as const) {
    await session.say(cancelled(1));
    expect(await stream.next()).toBeUndefined();
    await session.end();
  }
});

test.each(["own", "shared"])(
  "passes over what a child (%s) logs to its output, also where it is JSON",
  async (server) => {
    const session = await open(server, alice);
    const lines = ['{"level":50,"error":"late"}', "[info] on", '[debug] {"jsonrpc":"2.0","id":ID,"result":{}}'];
    const text = [...lines, '{"jsonrpc":"2.0","id":ID,"result":{"fine":true}}'].join("\n");
    expect((await session.say(call(1, "raw", { text }))).messages).toEqual([
      { jsonrpc: "2.0", id: 1, result: { fine: true } },
    ]);
    await session.end();
  },
);

test.each(["ambiguous", "shared-ambiguous"])(
  "gives up a child (%s) that opens a session in words nobody can read",
  async (server) => {
    const opened = await post(`${harness.url}/gateway/${server}/mcp`, alice.key, request(1, "initialize", OPEN));
    expect(opened.messages).toMatchObject([{ id: 1, error: { data: { type: "runlayer.upstream_error" } } }]);
    expect(opened.text).toContain("no JSON-RPC message");
    await childByServer.get(server)?.exited;
  },
);

test.each(["own", "shared"])("gives up a child (%s) that closes its output and lives on", async (server) => {
  const session = await open(server, alice);
  const [answer] = (await session.say(call(1, "close-output"))).messages;
  expect(answer).toMatchObject({ id: 1, error: { data: { type: "runlayer.upstream_error" } } });
  const event = (await harness.events("tool.call")).at(-1);
  expect(event).toMatchObject({ outcome: "error", reason: "upstream_reset" });
  expect((await session.say(call(2, "env"))).status).toBe(404);
  await childByServer.get(server)?.exited;
  const again = await open(server, bob);
  expect((await again.say(call(1, "env"))).messages[0]?.result).toBeDefined();
  await again.end();
});

test.each(["own", "shared"])("gives up a child (%s) that closes its input and lives on", async (server) => {
  const session = await open(server, alice);
  await session.say(call(1, "close-input"));
  const [answer] = (await session.say(call(2, "env"))).messages;
  expect(answer).toMatchObject({ id: 2, error: { data: { type: "runlayer.upstream_error" } } });
  expect((await session.say(call(3, "env"))).status).toBe(404);
  await childByServer.get(server)?.exited;
});
