import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { rawRequest } from "./raw-request.ts";
import { plainServer, result, sendJson, startUpstream, type TestUpstream } from "./upstream.ts";

const MB = 1024 * 1024;
/** More than the buffers of a connection take while nobody reads. */
const LARGE = 12 * MB;
const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
const stack = new AsyncDisposableStack();
const sockets: Socket[] = [];

let upstream: TestUpstream;
let bounded: Harness;
let impatient: Harness;
let greedy: AgentKey;
let other: AgentKey;
let stalling: AgentKey;

beforeAll(async () => {
  upstream = await startUpstream(async (received) => {
    if (received.message.method !== "tools/call") return plainServer(received);
    const { bytes = 10, delayMs = 0 } = { ...Object(received.message.params?.["arguments"]) };
    await sleep(Number(delayMs));
    sendJson(received, result(received, { content: [{ type: "text", text: "x".repeat(Number(bytes)) }] }));
  });
  const nothing = () => Promise.reject(new Error("no skill runs here"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  const aggregate = { skills, version: "1.0.0" };
  bounded = await startHarness({ aggregate, limits: { heldBytesPerAgentMax: LARGE + MB } });
  impatient = await startHarness({ aggregate, limits: { stalledClientMs: 500 } });
  greedy = await addAgent(bounded, "greedy");
  other = await addAgent(bounded, "other");
  stalling = await addAgent(impatient, "stalling");
});

afterEach(() => {
  for (const socket of sockets.splice(0)) socket.destroy();
});

afterAll(async () => {
  await bounded.close();
  await impatient.close();
  await upstream.close();
  await stack.disposeAsync();
});

async function addAgent(harness: Harness, name: string): Promise<AgentKey> {
  const server = await harness.addServer({ name: `${name}-server`, url: `${upstream.url}/mcp` });
  return harness.addAgent(name, [{ serverId: server.id }]);
}

const toolOf = ({ agent }: AgentKey): string => `${agent.name}-server__a`;

async function openSession({ url }: Harness, { key }: AgentKey): Promise<Record<string, string>> {
  const opened = await post(`${url}/gateway/mcp`, key, request(1, "initialize", INITIALIZE));
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

function leaveUnread({ url }: Harness, agent: AgentKey, { headers, message }: Sent): void {
  const socket = rawRequest(`${url}/gateway/mcp`, message, { key: agent.key, headers });
  socket.pause();
  sockets.push(socket);
}

interface Sent {
  readonly headers: Record<string, string>;
  readonly message: object;
}

function stateless(agent: AgentKey, args: object): Sent {
  const name = toolOf(agent);
  return {
    headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name },
    message: request(2, "tools/call", { name, arguments: args, _meta: META }),
  };
}

async function inSession(harness: Harness, agent: AgentKey, args: object): Promise<Sent> {
  return { headers: await openSession(harness, agent), message: call(2, toolOf(agent), args) };
}

const answered = async (harness: Harness): Promise<number> => (await harness.events("tool.call")).length;

test.each(["session", "stateless"])("cuts off a client that takes nothing of a large answer (%s)", async (era) => {
  // The limit has passed before there is anything to take.
  const args = { bytes: LARGE, delayMs: 800 };
  const sent = era === "session" ? await inSession(impatient, stalling, args) : stateless(stalling, args);
  const before = await answered(impatient);
  leaveUnread(impatient, stalling, sent);
  await expect.poll(() => answered(impatient), { timeout: 10_000 }).toBe(before + 1);
  expect(impatient.gateway.aggregate?.openCalls).toBe(1);
  await expect.poll(() => impatient.gateway.aggregate?.openCalls, { timeout: 10_000 }).toBe(0);
});

test("cuts off nobody while only the server is silent", async () => {
  const { headers, message } = await inSession(impatient, stalling, { delayMs: 1500 });
  const stream = await openStream(`${impatient.url}/gateway/mcp`, streamInit(stalling.key, undefined, headers));
  const slow = await post(`${impatient.url}/gateway/mcp`, stalling.key, message, { headers });
  expect(slow.messages).toMatchObject([{ id: 2, result: {} }]);
  const ended = stream.next().then(() => "ended");
  expect(await Promise.race([ended, sleep(700, "open")])).toBe("open");
  stream.close();
});

test("refuses the calls of an agent that leaves too much unread, and of no other", async () => {
  const args = { bytes: LARGE };
  for (let count = 1; count <= 2; count += 1) {
    const before = await answered(bounded);
    leaveUnread(bounded, greedy, await inSession(bounded, greedy, args));
    await expect.poll(() => answered(bounded), { timeout: 10_000 }).toBe(before + 1);
  }
  const { headers, message } = await inSession(bounded, greedy, {});
  const use = async () => (await post(`${bounded.url}/gateway/mcp`, greedy.key, message, { headers })).messages;
  const count = upstream.received.length;
  await expect.poll(use).toMatchObject([{ id: 2, error: { code: -32_013 } }]);
  const refused = (await bounded.events("tool.call")).filter(({ reason }) => reason === "unread_answers");
  expect(refused.at(-1)).toMatchObject({ outcome: "error" });
  const theirs = await inSession(bounded, other, args);
  const large = await post(`${bounded.url}/gateway/mcp`, other.key, theirs.message, { headers: theirs.headers });
  expect(large.text.length).toBeGreaterThan(LARGE);
  expect(upstream.received.length).toBeGreaterThan(count);
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(use).toMatchObject([{ id: 2, result: {} }]);
});
