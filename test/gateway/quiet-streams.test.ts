import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, openStream, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { sendEvent, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
const IDLE_MS = 300;
const CHANGED = { jsonrpc: "2.0", method: "notifications/tools/list_changed" };

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
let open: Received | undefined;

beforeAll(async () => {
  harness = await startHarness({ bodyIdleTimeoutMs: IDLE_MS });
  upstream = await startUpstream((received) => {
    open = received;
    startSse(received);
    sendEvent(received, CHANGED);
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

test("a subscription may be silent for longer than a call", async () => {
  const params = { notifications: { toolsListChanged: true }, _meta: META };
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "subscriptions/listen" };
  const stream = await openStream(url, streamInit(agent.key, request(1, "subscriptions/listen", params), headers));
  expect((await stream.next())?.message).toEqual(CHANGED);
  // The timers of undici tick once in half a second.
  await sleep(IDLE_MS + 1500);
  if (open !== undefined) sendEvent(open, CHANGED);
  expect((await stream.next())?.message).toEqual(CHANGED);
  stream.close();
});

test("passes on that a server keeps its stream open, however often it says so", async () => {
  const stream = await openStream(url, streamInit(agent.key, undefined));
  expect((await stream.next())?.message).toEqual(CHANGED);
  for (let count = 0; count < 50; count += 1) open?.response.write(": here\n\n");
  if (open !== undefined) sendEvent(open, CHANGED);
  expect((await stream.next())?.message).toEqual(CHANGED);
  expect(stream.comments).toBeGreaterThan(0);
  expect(stream.comments).toBeLessThan(10);
  stream.close();
});

test.each([
  ["on which a server speaks on its own", undefined],
  ["of a call", call(1, "a")],
])("keeps a stream open whose server is silent: one %s", async (_which, message) => {
  const other = await startHarness({ limits: { quietStreamMs: 50 } });
  const server = await other.addServer({ name: "s", url: `${upstream.url}/mcp` });
  const { key } = await other.addAgent("a", [{ serverId: server.id }]);
  const stream = await openStream(`${other.url}/gateway/s/mcp`, streamInit(key, message));
  expect((await stream.next())?.message).toEqual(CHANGED);
  const silence = stream.next();
  await expect.poll(() => stream.comments).toBeGreaterThan(2);
  stream.close();
  expect(await silence).toBeUndefined();
  await other.close();
});
