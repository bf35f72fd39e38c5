import type { Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { aSkill, aSkillVersion } from "../harness/entities.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { rawRequest } from "./raw-request.ts";
import { plainServer, sendJson, startUpstream, type TestUpstream } from "./upstream.ts";

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
let trickling: AgentKey;
let slow: Harness;

beforeAll(async () => {
  upstream = await startUpstream(async (received) => {
    if (received.message.method !== "tools/call") return plainServer(received);
    const { bytes = 10, delayMs = 0, grown = 0 } = { ...Object(received.message.params?.["arguments"]) };
    await sleep(Number(delayMs));
    const text = "x".repeat(Number(bytes));
    // Five times as long once it is read and written anew.
    const numbers = Array.from({ length: Number(grown) }, () => "1e20").join();
    const answer = `{"content":[{"type":"text","text":"${text}"}],"structuredContent":{"numbers":[${numbers}]}}`;
    sendJson(received, `{"jsonrpc":"2.0","id":${JSON.stringify(received.message.id)},"result":${answer}}`);
  });
  const nothing = () => Promise.reject(new Error("this skill calls nothing"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  const aggregate = { skills, version: "1.0.0" };
  bounded = await startHarness({ aggregate, limits: { heldBytesPerAgentMax: LARGE + MB / 2 } });
  await addSkill(bounded, "long", "x".repeat(MB));
  await addSkill(bounded, "longer", "x".repeat(LARGE));
  slow = await startHarness({ aggregate, limits: { slowClientMs: 1000 } });
  trickling = await addAgent(slow, "trickling");
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
  await slow.close();
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
  return asking("tools/call", { name: toolOf(agent), arguments: args });
}

function asking(
  method: string,
  params: { readonly name?: string; readonly uri?: string; readonly arguments?: object },
) {
  const name = params.name ?? params.uri;
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": method };
  return {
    headers: name === undefined ? headers : { ...headers, "mcp-name": name },
    message: request(2, method, { ...params, _meta: META }),
  };
}

/** Of a skill that has a long text and gives long answers. */
async function addSkill({ store }: Harness, name: string, instructions: string): Promise<void> {
  const skill = aSkill({ name });
  const code = `export default () => "x".repeat(${MB} - 1000);`;
  const content = { description: "Long", instructions, function: { code }, servers: [], files: [] };
  await store.transaction(async (tx) => {
    await tx.skills.insert(skill);
    await tx.skills.insertVersion(aSkillVersion({ skillId: skill.id, content }));
  });
}

/** What the agent is answered, and what the log says of it. */
async function use(harness: Harness, { key }: AgentKey, { headers, message }: Sent) {
  const before = (await harness.events()).length;
  const { messages } = await post(`${harness.url}/gateway/mcp`, key, message, { headers });
  const error = messages.at(-1)?.error;
  const events = (await harness.events()).slice(before).filter(({ resource }) => resource.type !== "server");
  return {
    answered: error === undefined ? "result" : [error.code, error.data?.["type"]],
    recorded: events.map(({ action, outcome, reason }) => [action, outcome, reason]),
  };
}

async function leaveAnswerUnread(args: object): Promise<void> {
  const before = await answered(bounded);
  leaveUnread(bounded, greedy, stateless(greedy, args));
  await expect.poll(() => answered(bounded), { timeout: 10_000 }).toBe(before + 1);
  // Until it is written.
  await expect.poll(() => bounded.gateway.liveExchanges).toBe(0);
  await sleep(100);
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

test.each(["session", "stateless"])("cuts off a client that takes a large answer too slowly (%s)", async (era) => {
  const args = { bytes: LARGE };
  const { headers, message } = era === "session" ? await inSession(slow, trickling, args) : stateless(trickling, args);
  const socket = rawRequest(`${slow.url}/gateway/mcp`, message, { key: trickling.key, headers });
  sockets.push(socket);
  let taken = 0;
  socket.on("error", () => undefined);
  await expect.poll(() => slow.gateway.aggregate?.openCalls).toBe(1);
  while (slow.gateway.aggregate?.openCalls === 1) {
    taken += socket.read()?.length ?? 0;
    await sleep(50);
  }
  // It was on the way to have all of it.
  expect(taken).toBeLessThan(LARGE);
});

const DROPPED = { answered: [-32_603, "runlayer.unread_answers"] };
const NOT_GIVEN = { answered: [-32_013, undefined] };
const outcome = (action: string) => ({ recorded: [[action, "error", "unread_answers"]] });

test("drops what finds no room beside the unread answers of its agent, and says so in the log", async () => {
  await leaveAnswerUnread({ bytes: LARGE });
  expect(await use(bounded, greedy, stateless(greedy, {}))).toMatchObject({ answered: "result" });
  expect(await use(bounded, greedy, stateless(greedy, { bytes: MB }))).toEqual({ ...DROPPED, ...outcome("tool.call") });
  const skill = asking("tools/call", { name: "skill__long", arguments: {} });
  expect(await use(bounded, greedy, skill)).toEqual({ ...DROPPED, ...outcome("skill.run") });
  const prompt = asking("prompts/get", { name: "long" });
  expect(await use(bounded, greedy, prompt)).toEqual({ ...NOT_GIVEN, ...outcome("prompt.get") });
  const resource = asking("resources/read", { uri: "skill://long/SKILL.md" });
  expect(await use(bounded, greedy, resource)).toEqual({ ...NOT_GIVEN, ...outcome("resource.read") });
  for (const sent of [skill, prompt, resource])
    expect(await use(bounded, other, sent)).toMatchObject({
      answered: "result",
      recorded: [expect.arrayContaining(["success"])],
    });
  // On the other path, too: it is one account.
  const direct = `${bounded.url}/gateway/greedy-server/mcp`;
  const { messages } = await post(direct, greedy.key, call(2, "a", { bytes: MB }));
  expect(messages).toMatchObject([{ error: { code: -32_603, data: { type: "runlayer.unread_answers" } } }]);
});

test("gives of answers that are made at one time those that have room", async () => {
  const outcomes = async () => (await bounded.events("prompt.get")).map((event) => event.outcome);
  const before = (await outcomes()).length;
  const sent = asking("prompts/get", { name: "longer" });
  for (let count = 0; count < 4; count += 1) leaveUnread(bounded, greedy, sent);
  await expect.poll(async () => (await outcomes()).length, { timeout: 10_000 }).toBe(before + 4);
  expect((await outcomes()).slice(before).toSorted()).toEqual(["error", "error", "error", "success"]);
});

test("refuses whatever an agent asks that leaves too much unread, and of no other", async () => {
  await leaveAnswerUnread({ grown: LARGE / 10 });
  const refusals = [
    [stateless(greedy, {}), "tool.call"],
    [asking("tools/call", { name: "skill__long", arguments: {} }), "tool.call"],
    [asking("tools/call", { name: "search_tools", arguments: { query: "a" } }), "tool.list"],
    [asking("tools/list", {}), "tool.list"],
    [asking("prompts/list", {}), "prompt.list"],
    [asking("prompts/get", { name: "long" }), "prompt.get"],
    [asking("resources/read", { uri: "skill://long/SKILL.md" }), "resource.read"],
  ] as const;
  const count = upstream.received.filter(({ body }) => body.includes("tools/call")).length;
  for (const [sent, action] of refusals)
    expect(await use(bounded, greedy, sent)).toEqual({ ...NOT_GIVEN, ...outcome(action) });
  expect(await use(bounded, greedy, asking("resources/list", {}))).toEqual({ ...NOT_GIVEN, recorded: [] });
  expect(upstream.received.filter(({ body }) => body.includes("tools/call"))).toHaveLength(count);
  expect(await use(bounded, other, stateless(other, { bytes: LARGE }))).toMatchObject({ answered: "result" });
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(() => bounded.gateway.aggregate?.openCalls).toBe(0);
  expect(await use(bounded, greedy, stateless(greedy, {}))).toMatchObject({ answered: "result" });
});
