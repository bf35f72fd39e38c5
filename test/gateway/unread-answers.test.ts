import { setTimeout as sleep } from "node:timers/promises";
import type { Socket } from "node:net";
import { afterEach, beforeAll, afterAll, expect, test } from "vitest";
import { call, post } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { rawRequest } from "./raw-request.ts";
import { result, sendEvent, sendJson, startSse, startUpstream, type TestUpstream } from "./upstream.ts";

const MB = 1024 * 1024;
/** More than the buffers of a connection take while nobody reads. */
const LARGE = 12 * MB;
const SMALL = 32 * 1024;

let upstream: TestUpstream;
let harness: Harness;
let impatient: Harness;
let greedy: AgentKey;
let other: AgentKey;
let third: AgentKey;
let cutOff: AgentKey;
let url: string;
let impatientUrl: string;
const health: string[] = [];
const sockets: Socket[] = [];

beforeAll(async () => {
  upstream = await startUpstream((received) => {
    const { bytes = 10, isStream } = { ...Object(received.message.params?.["arguments"]) };
    const answer = result(received, { content: [{ type: "text", text: "x".repeat(Number(bytes)) }] });
    if (isStream !== true) return sendJson(received, answer);
    startSse(received);
    sendEvent(received, answer);
    received.response.end();
  });
  const observer = {
    health: (_: string, { state }: { readonly state: string }) => void health.push(state),
    toolsListed: () => undefined,
    keyUsed: () => undefined,
    keyDenied: () => undefined,
  };
  harness = await startHarness({
    observer,
    limits: { heldBytesMax: 5 * LARGE + SMALL / 2, heldBytesPerAgentMax: 30 * MB },
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  greedy = await harness.addAgent("greedy", [{ serverId: server.id }]);
  other = await harness.addAgent("other", [{ serverId: server.id }]);
  third = await harness.addAgent("third", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
  impatient = await startHarness({ limits: { stalledClientMs: 500 } });
  const same = await impatient.addServer({ name: "s", url: `${upstream.url}/mcp` });
  cutOff = await impatient.addAgent("a", [{ serverId: same.id }]);
  impatientUrl = `${impatient.url}/gateway/s/mcp`;
});

afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await expect.poll(() => harness.gateway.liveExchanges, { timeout: 10_000 }).toBe(0);
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
  await impatient.close();
});

test.each([false, true])(
  "keeps one agent that reads no answers from taking the memory of all (stream: %s)",
  async (isStream) => {
    health.length = 0;
    await leaveAllUnread([greedy, greedy], isStream);
    const refused = await post(url, greedy.key, call(3, "a", { bytes: LARGE, isStream }));
    expect(refused.messages).toMatchObject([
      { id: 3, error: { code: -32603, data: { type: "runlayer.unread_answers" } } },
    ]);
    if (!isStream) expect(refused.status).toBe(503);
    expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "unread_answers" });
    expect((await post(url, greedy.key, call(4, "a", { isStream }))).status).toBe(200);
    expect((await post(url, other.key, call(5, "a", { bytes: LARGE, isStream }))).text.length).toBeGreaterThan(LARGE);
    expect(new Set(health)).toEqual(new Set(["ok"]));
  },
);

test("passes small answers to everybody, however much waits to be read", async () => {
  await leaveAllUnread([greedy, greedy, other, other, third]);
  expect((await post(url, third.key, call(6, "a", { bytes: LARGE }))).status).toBe(503);
  for (const { key } of [greedy, other, third])
    expect((await post(url, key, call(7, "a", { bytes: SMALL }))).status).toBe(200);
});

test.each([false, true])("cuts off a client that takes nothing of a large answer (stream: %s)", async (isStream) => {
  leaveUnread(impatientUrl, cutOff, { id: 1, isStream });
  await expect.poll(() => impatient.gateway.liveExchanges, { interval: 5 }).toBe(1);
  await expect.poll(() => impatient.gateway.liveExchanges, { timeout: 10_000 }).toBe(0);
});

test.each([false, true])("lets a client take a large answer as slowly as it can (stream: %s)", async (isStream) => {
  const socket = rawRequest(impatientUrl, call(1, "a", { bytes: LARGE, isStream }), {
    key: cutOff.key,
    headers: { connection: "close" },
  });
  const startedAt = performance.now();
  let taken = 0;
  for await (const chunk of socket) {
    taken += Buffer.from(chunk).length;
    await sleep(10);
  }
  expect(taken).toBeGreaterThan(LARGE);
  expect(performance.now() - startedAt).toBeGreaterThan(1500);
});

/** Until each has its answer, as far as the gateway is concerned. */
async function leaveAllUnread(agents: readonly AgentKey[], isStream = false): Promise<void> {
  const answered = async () => (await harness.events("tool.call")).length;
  const before = await answered();
  for (const [id, agent] of agents.entries()) leaveUnread(url, agent, { id, isStream });
  await expect.poll(answered, { timeout: 10_000 }).toBe(before + agents.length);
}

function leaveUnread(
  to: string,
  { key }: AgentKey,
  { id, isStream }: { readonly id: number; readonly isStream: boolean },
): void {
  const socket = rawRequest(to, call(id, "a", { bytes: LARGE, isStream }), { key });
  socket.pause();
  sockets.push(socket);
}
