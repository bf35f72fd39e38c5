import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openStream, request, streamInit } from "./client.ts";
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
