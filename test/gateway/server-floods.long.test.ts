import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, openStream, post, streamInit } from "./client.ts";
import { rawRequest } from "./raw-request.ts";
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
let agent: AgentKey;
let url: string;
let behave: (received: Received) => void | Promise<void>;

beforeAll(async () => {
  harness = await startHarness({ limits: { stalledClientMs: 2000 } });
  upstream = await startUpstream((received) => behave(received));
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
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

test("lets other work have its turn between many small events", async () => {
  behave = (received) => {
    startSse(received);
    const unasked = JSON.stringify({ jsonrpc: "2.0", id: "unasked", result: {} });
    received.response.write(`data: ${unasked}\n\n`.repeat(10_000));
    sendEvent(received, result(received, { content: [] }));
    received.response.end();
  };
  // Each of these events becomes one problem.
  let seen = harness.problems.length;
  const first = seen;
  let perTurnMax = 0;
  let isWatching = true;
  const tick = (): void => {
    perTurnMax = Math.max(perTurnMax, harness.problems.length - seen);
    seen = harness.problems.length;
    if (isWatching) setImmediate(tick);
  };
  setImmediate(tick);
  expect((await post(url, agent.key, call("c", "a"))).messages).toMatchObject([{ id: "c", result: {} }]);
  isWatching = false;
  tick();
  expect(seen - first).toBe(10_000);
  // Of one turn of the stream, or of two where they fall between the same two looks.
  expect(perTurnMax).toBeLessThanOrEqual(128);
});

test("makes a server wait whose events hold nothing but their ids, as long as its client does not read", async () => {
  const sent = Promise.withResolvers<string>();
  behave = (received) => {
    const { response } = received;
    startSse(received);
    response.on("close", () => sent.resolve("cut off"));
    response.write(`id:${"a".repeat(200)}\n\n`.repeat(120_000), (error) => error ?? sent.resolve("taken"));
  };
  const socket = rawRequest(url, call(1, "a"), { key: agent.key });
  socket.pause();
  expect(await sent.promise).toBe("cut off");
  socket.destroy();
});
