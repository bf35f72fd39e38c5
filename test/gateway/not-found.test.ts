import { afterAll, beforeAll, expect, test } from "vitest";
import { call, post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, sendJson, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
let isForgotten = false;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream((received) => {
    const { id, method } = received.message;
    if (received.method === "GET") return void received.response.writeHead(404).end();
    if (method === "prompts/list") return refuse(received, id);
    if (isForgotten) return refuse(received, null);
    return plainServer(received);
  });
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  agent = await harness.addAgent("a", [{ serverId: server.id }]);
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

function refuse(received: Received, id: unknown): void {
  const error = { code: id === null ? -32001 : -32601, message: "not found" };
  sendJson(received, { jsonrpc: "2.0", id, error }, { status: 404 });
}

test("a 404 ends the session only where it may be about the session", async () => {
  const opened = await post(url, agent.key, request(1, "initialize", {}));
  const headers = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-11-25",
  };
  const authorization = `Bearer ${agent.key}`;
  const stream = await fetch(url, { headers: { ...headers, authorization, accept: "text/event-stream" } });
  expect(stream.status).toBe(404);
  // Its error names the request: the server knows the session, and not the method.
  expect((await post(url, agent.key, request(2, "prompts/list"), { headers })).status).toBe(404);
  expect((await post(url, agent.key, call(3, "a"), { headers })).status).toBe(200);
  isForgotten = true;
  expect((await post(url, agent.key, call(4, "a"), { headers })).status).toBe(404);
  isForgotten = false;
  expect((await post(url, agent.key, call(5, "a"), { headers })).status).toBe(404);
  expect(await harness.events("session.end")).toMatchObject([{ details: { reason: "ended_by_server" } }]);
});
