import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendEvent, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";
import { superviseIn } from "./supervisor.ts";

const MB = 1024 * 1024;
const TEXT = "x".repeat(2 * MB);
const OPEN = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };

let place: StdioPlace;
let supervisor: StdioSupervisor;
let legacy: TestUpstream;
let harness: Harness;
let greedy: AgentKey;
let other: AgentKey;
let third: AgentKey;
/** Messages that the legacy server has not taken. */
const untaken: ServerResponse[] = [];

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = superviseIn(place);
  legacy = await startLegacy();
  harness = await startHarness({
    startChild: (spec) => supervisor.start(spec),
    limits: { heldBytesPerAgentMax: 7 * MB, heldBytesMax: 13 * MB },
  });
  const stdio = (name: string, shareable: boolean) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder, shareable },
      { args: [place.script] },
    );
  const servers = [
    await stdio("own", false),
    await stdio("shared", true),
    await harness.addServer({ name: "legacy", transport: "sse", url: `${legacy.url}/sse` }),
  ];
  const assigned = servers.map(({ id }) => ({ serverId: id }));
  greedy = await harness.addAgent("greedy", assigned);
  other = await harness.addAgent("other", assigned);
  third = await harness.addAgent("third", assigned);
}, 60_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await legacy.close();
  place.remove();
});

test.each(["own", "shared", "legacy"])("bounds what waits for servers of one agent to take it (%s)", async (name) => {
  const first = await openFrozen(name, greedy);
  const second = name === "shared" ? await open(name, greedy) : await openFrozen(name, greedy);
  for (const session of [first, second, first, second]) expect(await leave(greedy, session)).toBe(200);
  expect(await leave(greedy, second)).toBe(503);
  const refused = await post(urlOf("own"), greedy.key, request(1, "initialize", OPEN));
  expect([refused.status, refused.messages[0]?.error?.code]).toEqual([503, -32013]);
  expect((await harness.events("session.open")).at(-1)).toMatchObject({ outcome: "error", reason: "rpc_error" });
  const theirs = await openFrozen("own", other);
  await thaw([first, second, theirs]);
  await expect.poll(() => leave(greedy, first, request(5, "ping")), { timeout: 10_000 }).not.toBe(503);
});

test("bounds what waits for servers of all agents to take it, and lets in who has nothing waiting", async () => {
  const [first, second] = [await openFrozen("own", greedy), await openFrozen("own", other)];
  const last = await openFrozen("own", third);
  for (let count = 0; count < 3; count += 1)
    expect([await leave(greedy, first), await leave(other, second)]).toEqual([200, 200]);
  expect([await leave(third, last), await leave(third, last)]).toEqual([200, 503]);
  await thaw([first, second, last]);
  await expect.poll(() => leave(third, last, request(5, "ping")), { timeout: 10_000 }).not.toBe(503);
});

interface Session {
  readonly url: string;
  readonly headers: Record<string, string>;
  /** Of a child that takes nothing more. */
  readonly pid?: number;
}

const urlOf = (name: string): string => `${harness.url}/gateway/${name}/mcp`;

async function open(name: string, agent: AgentKey): Promise<Session> {
  const url = urlOf(name);
  const opened = await post(url, agent.key, request(1, "initialize", OPEN));
  expect(opened.messages[0]?.result).toBeDefined();
  return { url, headers: { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" } };
}

/** A session whose server takes nothing more. */
async function openFrozen(name: string, agent: AgentKey): Promise<Session> {
  const session = await open(name, agent);
  if (name === "legacy") return session;
  const { text } = await post(session.url, agent.key, call(2, "env"), { headers: session.headers });
  const pid = Number(/\\"pid\\":(\d+)/.exec(text)?.[1]);
  expect(pid).toBeGreaterThan(0);
  await leave(agent, session, call(3, "freeze"));
  return { ...session, pid };
}

/** Sends a message and goes away, and gives the status of its answer. */
async function leave(agent: AgentKey, { url, headers }: Session, message = call(4, "env", { TEXT })): Promise<number> {
  const stream = await openStream(url, streamInit(agent.key, message, headers));
  stream.close();
  // The request is over at the gateway, so that the next one may have its id.
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  return stream.status;
}

async function thaw(sessions: readonly Session[]): Promise<void> {
  for (const response of untaken.splice(0)) response.writeHead(202).end();
  for (const { pid } of sessions) if (pid !== undefined) process.kill(pid, "SIGKILL");
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(0);
}

/** A server of 2024-11-05 that takes no call. */
async function startLegacy(): Promise<TestUpstream> {
  let stream: Received | undefined;
  return startUpstream((received) => {
    const { method, message, response } = received;
    if (method === "GET") {
      startSse(received);
      response.write("event: endpoint\ndata: /message\n\n");
      stream = received;
    } else if (message.method === "tools/call") untaken.push(response);
    else {
      response.writeHead(202).end();
      const said = { protocolVersion: "2025-06-18", capabilities: {}, serverInfo: { name: "s", version: "1" } };
      if (message.method === "initialize" && stream !== undefined) sendEvent(stream, result(received, said));
    }
  });
}
