import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { post, request, type Posted } from "../gateway/client.ts";
import { plainServer, sendJson, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;
let upstream: TestUpstream;
/** What an opening waits for. */
let opening: { readonly begun: PromiseWithResolvers<void>; readonly end: PromiseWithResolvers<void> } | undefined;
let isBroken = false;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startUpstream(async (received) => {
    const { id, method } = received.message;
    if (method === "initialize" && opening !== undefined) {
      opening.begun.resolve();
      await opening.end.promise;
    }
    if (!isBroken || method !== "initialize") return plainServer(received);
    sendJson(received, { jsonrpc: "2.0", id, error: { code: -32_000, message: "no" } });
  });
});
afterAll(async () => {
  opening?.end.resolve();
  await app.close();
  await upstream.close();
});
beforeEach(() => {
  opening = undefined;
  isBroken = false;
});

/** A server, and an agent of the same name. Gives the agent's key. */
async function addPair(name: string): Promise<string> {
  const endpoint = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  expect(at((await app.rest("POST /servers", { name, ...endpoint })).body, "discovery", "state")).toBe("ok");
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers: [name] });
  return textAt(body, "key");
}

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };

async function callFirst(name: string, key: string): Promise<Posted> {
  const url = `${app.url}/gateway/mcp`;
  const opened = await post(url, key, request(1, "initialize", INITIALIZE));
  const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  return post(url, key, request(2, "tools/call", { name: `${name}__read_file`, arguments: { path: "a" } }), {
    headers,
  });
}

/** The only event of the call, whatever other events there are. */
async function eventOf(agent: string): Promise<unknown> {
  const { body } = await app.rest("GET /audit-events", { agent, action: "tool.call" });
  expect(body["total"]).toBe(1);
  return at(body, "items", 0);
}

const ends: readonly (readonly [string, string, (name: string) => Promise<unknown>])[] = [
  ["server_disabled", "off", (name) => app.rest(`PATCH /servers/${name}`, { status: "disabled" })],
  ["server_quarantined", "away", (name) => app.rest(`PATCH /servers/${name}`, { status: "quarantined" })],
  ["not_assigned", "lost", (name) => app.rest(`PATCH /agents/${name}`, { removeServers: [name] })],
  ["not_assigned", "gone", (name) => app.rest(`DELETE /servers/${name}`, { confirm: true })],
];

test.each(ends)("a call whose right ends (%s) while its server is opened is that call's denial", async (...row) => {
  const [reason, name, end] = row;
  const key = await addPair(name);
  opening = { begun: Promise.withResolvers(), end: Promise.withResolvers() };
  const called = callFirst(name, key);
  await opening.begun.promise;
  await end(name);
  const { messages } = await called;
  opening.end.resolve();
  const data = { type: "runlayer.denied", reason, policies: [], correlationId: expect.any(String) };
  expect(messages).toMatchObject([{ id: 2, error: { code: -32_011, data } }]);
  // Nothing was sent, so nobody has to look what came of it.
  expect(JSON.stringify(messages)).not.toContain("effect is unknown");
  const resource = { type: "tool", name: name === "gone" ? "read_file" : `${name}/read_file` };
  const details = { tool: "read_file", arguments: { path: "a" } };
  expect(await eventOf(name)).toMatchObject({ outcome: "denied", reason, resource, details });
});

test("a call whose server does not open is recorded as that call's error", async () => {
  const key = await addPair("broken");
  isBroken = true;
  expect((await callFirst("broken", key)).messages).toMatchObject([{ id: 2, error: { message: "no" } }]);
  expect(await eventOf("broken")).toMatchObject({
    outcome: "error",
    reason: "session_not_opened",
    resource: { type: "tool", name: "broken/read_file" },
    details: { tool: "read_file", arguments: { path: "a" } },
  });
});

test("a call that its agent takes back while its server is opened is recorded, and not sent", async () => {
  const key = await addPair("slow");
  opening = { begun: Promise.withResolvers(), end: Promise.withResolvers() };
  const url = `${app.url}/gateway/mcp`;
  const opened = await post(url, key, request(1, "initialize", INITIALIZE));
  const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const called = post(url, key, request(2, "tools/call", { name: "slow__read_file", arguments: { path: "a" } }), {
    headers,
  });
  await opening.begun.promise;
  await post(url, key, { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 2 } }, { headers });
  await sleep(50);
  opening.end.resolve();
  await called;
  await vi.waitFor(async () => expect(await eventOf("slow")).toBeDefined(), 5000);
  expect(await eventOf("slow")).toMatchObject({ outcome: "error", reason: "client_cancelled" });
  expect(upstream.received.filter(({ message }) => message.method === "tools/call")).toEqual([]);
});

test("a message whose method nobody knows is a denial on record, in both eras", async () => {
  const { body } = await app.rest("POST /agents", { name: "prober", type: "custom" });
  const [url, key] = [`${app.url}/gateway/mcp`, textAt(body, "key")];
  const opened = await post(url, key, request(1, "initialize", INITIALIZE));
  const headers = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const sent = await post(url, key, request(2, "secrets/list"), { headers });
  expect([sent.status, sent.messages]).toMatchObject([200, [{ id: 2, error: { code: -32_601 } }]]);
  await post(url, key, { jsonrpc: "2.0", method: "notifications/secrets" }, { headers });
  // Known, and not offered here.
  await post(url, key, request(3, "logging/setLevel", { level: "info" }), { headers });
  const meta = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const modern = await post(url, key, request(4, "secrets/list", { _meta: meta }), {
    headers: { "mcp-protocol-version": "2026-07-28", "mcp-method": "secrets/list" },
  });
  expect([modern.status, modern.messages]).toMatchObject([404, [{ id: 4, error: { code: -32_601 } }]]);
  const denied = await app.rest("GET /audit-events", { agent: "prober", outcome: "denied" });
  expect(denied.body["items"]).toMatchObject(
    ["secrets/list", "notifications/secrets", "secrets/list"].map((method) => ({
      action: "message.refused",
      reason: "unknown_method",
      details: { method },
    })),
  );
});
