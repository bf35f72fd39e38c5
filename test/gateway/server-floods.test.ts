import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, openStream, post, streamInit } from "./client.ts";
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
let calm: TestUpstream;
let agent: AgentKey;
let url: string;
let behave: (received: Received) => void | Promise<void>;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => behave(received));
  calm = await startUpstream(plainServer);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  const other = await harness.addServer({ name: "calm", url: `${calm.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }, { serverId: other.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await calm.close();
  await harness.close();
});

test("answers requests that it refuses a few at a time, all of them, and then passes the answer on", async () => {
  let open = 0;
  let openMax = 0;
  const refused: unknown[] = [];
  behave = async (received) => {
    if (received.message.method === "tools/call") {
      startSse(received);
      for (let id = 0; id < 100; id += 1) sendEvent(received, { jsonrpc: "2.0", id, method: "no/such" });
      sendEvent(received, result(received, { content: [] }));
      received.response.end();
      return;
    }
    open += 1;
    openMax = Math.max(openMax, open);
    refused.push(received.message.id);
    await sleep(5);
    open -= 1;
    received.response.writeHead(202).end();
  };
  expect((await post(url, agent.key, call("c", "a"))).messages).toMatchObject([{ id: "c", result: {} }]);
  await expect.poll(() => refused.length).toBe(100);
  expect(new Set(refused).size).toBe(100);
  expect(openMax).toBeLessThanOrEqual(8);
});

test("sends nothing more for requests whose stream its client has left", async () => {
  const held: Received[] = [];
  behave = (received) => {
    if (received.method !== "GET") {
      held.push(received);
      return;
    }
    startSse(received);
    for (let id = 0; id < 100; id += 1) sendEvent(received, { jsonrpc: "2.0", id, method: "no/such" });
  };
  const stream = await openStream(url, streamInit(agent.key, undefined));
  await expect.poll(() => held.length).toBe(8);
  stream.close();
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  for (const { response } of held) response.writeHead(202).end();
  behave = plainServer;
  expect((await post(url, agent.key, call(1, "a"))).status).toBe(200);
  expect(held.length).toBe(8);
});
