import { once } from "node:events";
import { Agent, get } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { call, openStream, post, streamInit, type OpenStream } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendJson, startSse, startUpstream, type TestUpstream } from "./upstream.ts";
import type { Server } from "../../src/domain/server.ts";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let server: Server;
let url: string;
let openUpstreams = 0;

/** A call that the server lets wait without a word. */
const SILENT_ID = 3;

beforeEach(async () => {
  harness = await startHarness();
  openUpstreams = 0;
  upstream = await startUpstream((received) => {
    if (received.message.method === "tools/call" && received.message.id === 1)
      return sendJson(received, result(received, {}));
    openUpstreams += 1;
    received.response.on("close", () => (openUpstreams -= 1));
    if (received.message.id === SILENT_ID) return;
    startSse(received);
    received.response.write(": open\n\n");
  });
  server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterEach(async () => {
  await upstream.close();
  await harness.close();
});

const changes: readonly (readonly [string, number, () => Promise<void>])[] = [
  [
    "its key is revoked",
    401,
    () =>
      harness.store.transaction(async (tx) => {
        const key = await tx.apiKeys.get(agent.keyId);
        await tx.apiKeys.save({ ...key, revoked: { at: Date.now(), reason: null }, version: key.version + 1 });
      }),
  ],
  [
    "the agent is suspended",
    403,
    () =>
      harness.store.transaction(async (tx) => {
        const found = await tx.agents.get(agent.agent.id);
        await tx.agents.save({ ...found, status: "suspended", version: found.version + 1 });
      }),
  ],
  ["the agent is deleted", 401, () => harness.store.transaction((tx) => tx.agents.delete(agent.agent.id))],
  [
    "the server is unassigned",
    404,
    () =>
      harness.store.transaction(async (tx) => {
        const found = await tx.agents.get(agent.agent.id);
        await tx.agents.save({ ...found, assignments: [], version: found.version + 1 });
      }),
  ],
  ["the server is disabled", 403, () => setStatus("disabled")],
  ["the server is quarantined", 403, () => setStatus("quarantined")],
  ["the server is deleted", 404, () => harness.store.transaction((tx) => tx.servers.delete(server.id))],
];

test.each(changes)(
  "when %s, open streams end in both directions before the change returns, and the next message is refused",
  async (...[, status, change]) => {
    expect((await post(url, agent.key, call(1, "a"))).status).toBe(200);
    const standing = await openStream(url, streamInit(agent.key, undefined));
    const pending = openStream(url, streamInit(agent.key, call(2, "a"))).catch(() => undefined);
    await expect.poll(() => openUpstreams).toBe(2);
    expect(harness.gateway.liveExchanges).toBe(2);
    await change();
    expect(harness.gateway.liveExchanges).toBe(0);
    expect(await standing.next()).toBeUndefined();
    await expectEnded(pending, status);
    await expect.poll(() => openUpstreams).toBe(0);
    expect((await post(url, agent.key, call(1, "a"))).status).toBe(status);
    const cut = (await harness.events("tool.call")).find((event) => event.outcome === "error");
    expect(cut?.reason).toBeDefined();
  },
);

test.each([
  ["by a change", -32011, 403, "server_disabled", () => setStatus("disabled")],
  ["when the gateway stops", -32013, 503, "unavailable", () => harness.gateway.drain(0)],
] as const)("a call that is cut off %s is told that it was sent", async (...[, rpcCode, status, code, end]) => {
  const waiting = post(url, agent.key, call(SILENT_ID, "a"));
  const streaming = await openStream(url, streamInit(agent.key, call(2, "a")));
  await expect.poll(() => openUpstreams).toBe(2);
  const ended = end();
  const message = expect.stringContaining("its effect is unknown");
  const data = { type: "runlayer.cut_off", wasSent: true, correlationId: expect.stringMatching(/^[0-9a-f-]{36}$/) };
  expect((await streaming.next())?.message?.error).toEqual({ code: rpcCode, message, data });
  const refused = await waiting;
  expect(refused.status).toBe(status);
  expect(JSON.parse(refused.text)).toEqual({ error: { code, message, data } });
  await ended;
});

test("a stream that a change ends leaves its connection to the client, which sends its next message on it", async () => {
  const connections = new Agent({ keepAlive: true, maxSockets: 1 });
  const { method = "GET", headers } = streamInit(agent.key, undefined);
  const stream = get(url, { method, headers: Object.fromEntries(new Headers(headers)), agent: connections });
  const [response] = await once(stream, "response");
  response.resume();
  await setStatus("disabled");
  await once(response, "end");
  // Time for the server's end of the connection to arrive, if it were closed.
  await sleep(100);
  expect(stream.socket?.destroyed).toBe(false);
  connections.destroy();
});

test("a change that concerns somebody else ends nothing", async () => {
  const standing = await openStream(url, streamInit(agent.key, undefined));
  await harness.addAgent("other", []);
  await harness.setSettings({ auditPayloads: "none" });
  expect(harness.gateway.liveExchanges).toBe(1);
  standing.close();
});

async function setStatus(status: "disabled" | "quarantined"): Promise<void> {
  await harness.store.transaction(async (tx) => {
    const found = await tx.servers.get(server.id);
    await tx.servers.save({ ...found, status, version: found.version + 1 });
  });
}

/** A call that had no answer yet is told why, or its connection ends. */
async function expectEnded(pending: Promise<OpenStream | undefined>, status: number): Promise<void> {
  const stream = await pending;
  if (stream === undefined) throw new Error("the client was told nothing");
  if (stream.status === 200) expect((await stream.next())?.message?.error?.code).toBe(-32011);
  else expect(stream.status).toBe(status);
}
