import { setTimeout as sleep } from "node:timers/promises";
import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { plainServer, startSse, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/** It computes between two calls, and no call of its own is open meanwhile. */
const CALLS_TWICE = `export default async function (input, { callTool }) {
  await callTool("files", "read_file", {});
  const until = Date.now() + 500;
  while (Date.now() < until);
  await callTool("files", "read_file", {});
  return { isDone: true };
}`;
/** After so long a client of the SDK opens its stream for news anew. */
const RECONNECT_MS = 1000;

let upstream: TestUpstream;
let app: TestApp;
let key: string;

beforeAll(async () => {
  upstream = await startUpstream(async (received) => {
    if (received.method === "GET") {
      startSse(received);
      return received.response.flushHeaders();
    }
    if (received.message.params?.["name"] === "write_file") await sleep(2 * RECONNECT_MS);
    plainServer(received);
  });
  app = await startTestApp();
  const endpoint = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  const server = await app.rest("POST /servers", { name: "files", ...endpoint });
  expect(at(server.body, "discovery", "state")).toBe("ok");
  const skill = { name: "twice", description: "For tests", code: CALLS_TWICE, servers: ["files"] };
  expect(at((await app.rest("POST /skills", skill)).body, "scan", "state")).toBe("approved");
  key = textAt((await app.rest("POST /agents", { name: "a", type: "custom", servers: ["files"] })).body, "key");
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

const callsAtServer = (): number => upstream.received.filter(({ message }) => message.method === "tools/call").length;

const slowCall = async (client: Client): Promise<void> => {
  const { isError = false } = await client.callTool({ name: "files__write_file", arguments: {} });
  expect(isError).toBe(false);
};

const agentsRun = async (client: Client): Promise<void> => {
  const { structuredContent } = await client.callTool({ name: "skill__twice", arguments: {} });
  expect(structuredContent).toEqual({ isDone: true });
};

const trial = async (): Promise<void> => {
  const { body } = await app.rest("POST /skills/twice/runs", { agent: "a", input: {}, dryRun: false });
  expect(body).toMatchObject({ run: { status: "completed", output: { isDone: true } } });
};

test.each([
  ["a call on `/gateway/mcp`, without waiting for streams that are opened anew", slowCall],
  ["an agent's run of a skill", agentsRun],
  ["a trial of a skill", trial],
])("lets finish when it stops: %s", async (_what, work) => {
  const before = callsAtServer();
  const done = work(await app.aggregateClient(key));
  await expect.poll(callsAtServer, { interval: 5 }).toBe(before + 1);
  const startedAt = performance.now();
  const restarted = app.restart();
  await done;
  await restarted;
  expect(performance.now() - startedAt).toBeLessThan(8000);
});
