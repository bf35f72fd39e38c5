import { afterAll, beforeAll, expect, test } from "vitest";
import { openStream, post, request, streamInit, type Posted } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { result, sendEvent, sendJson, startSse, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

let harness: Harness;
let upstream: TestUpstream;
let alice: AgentKey;
let bob: AgentKey;
let url: string;

beforeAll(async () => {
  harness = await startHarness();
  upstream = await startUpstream(serve);
  const server = await harness.addServer({ name: "s", url: `${upstream.url}/mcp` });
  const definition = {
    name: "search",
    inputSchema: {
      type: "object",
      properties: {
        region: { type: "string", "x-mcp-header": "Region" },
        page: { type: "object", properties: { size: { type: "integer", "x-mcp-header": "Size" } } },
        q: { type: "string" },
      },
    },
  };
  const facts = { serverId: server.id, name: "search", digest: "x", state: "approved", pending: null } as const;
  await harness.store.transaction((tx) =>
    tx.servers.saveTools(server.id, [{ ...facts, definition, firstSeenAt: 1, lastSeenAt: 1, absentSince: null }]),
  );
  alice = await harness.addAgent("alice", [{ serverId: server.id, tools: ["s*"], resources: ["file:///a*"] }]);
  bob = await harness.addAgent("bob", [{ serverId: server.id }]);
  // A commit that names the server makes the live view read its tools.
  await harness.store.transaction(async (tx) => {
    const found = await tx.servers.get(server.id);
    await tx.servers.save({ ...found, version: found.version + 1 });
  });
  url = `${harness.url}/gateway/s/mcp`;
});

afterAll(async () => {
  await upstream.close();
  await harness.close();
});

let listening: Received | undefined;

function serve(received: Received): void {
  const { method } = received.message;
  if (method === "subscriptions/listen" && received.message.id === "sub-1") {
    listening = received;
    startSse(received);
    return sendEvent(received, { jsonrpc: "2.0", method: "notifications/subscriptions/acknowledged", params: {} });
  }
  if (method === "tools/list")
    return sendJson(
      received,
      result(received, { tools: [{ name: "search" }, { name: "x" }], ttlMs: 60000, cacheScope: "public" }),
    );
  if (received.message.params?.["name"] === "state")
    return sendJson(
      received,
      result(received, { resultType: "input_required", requestState: "st-1", inputRequests: {} }),
    );
  sendJson(received, result(received, { resultType: "complete", content: [] }));
}

interface Lies {
  readonly headers?: Record<string, string | undefined>;
  readonly meta?: unknown;
}

async function send(agent: AgentKey, message: { method: string; params: Record<string, unknown> }, lies: Lies = {}) {
  const name = message.params["name"] ?? message.params["uri"] ?? message.params["taskId"];
  const honest = {
    "mcp-protocol-version": VERSION,
    "mcp-method": message.method,
    ...(typeof name === "string" ? { "mcp-name": name } : {}),
  };
  const headers = Object.fromEntries(
    Object.entries({ ...honest, ...lies.headers }).flatMap(([key, value]) =>
      value === undefined ? [] : [[key, value]],
    ),
  );
  const params = { ...message.params, _meta: "meta" in lies ? lies.meta : META };
  return post(url, agent.key, request(1, message.method, params), { headers });
}

const SEARCH = { method: "tools/call", params: { name: "search", arguments: { q: "x" } } };

test("passes a stateless call with its headers, and no session", async () => {
  const answer = await send(alice, SEARCH, { headers: { "mcp-session-id": "made-up", "mcp-param-other": "1" } });
  expect(answer.messages).toMatchObject([{ id: 1, result: { resultType: "complete" } }]);
  const { headers } = upstream.received.at(-1) ?? {};
  expect(headers).toMatchObject({ "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "search" });
  expect(headers?.["mcp-session-id"]).toBeUndefined();
  expect(headers?.["mcp-param-other"]).toBeUndefined();
});

const REGION = { method: "tools/call", params: { name: "search", arguments: { region: "é" } } };

test.each<readonly [string, typeof SEARCH | typeof REGION, Lies, number]>([
  ["another method in the header", SEARCH, { headers: { "mcp-method": "tools/list" } }, -32020],
  ["no method in the headers", SEARCH, { headers: { "mcp-method": undefined } }, -32020],
  ["another name in the header", SEARCH, { headers: { "mcp-name": "safe" } }, -32020],
  ["no name in the headers", SEARCH, { headers: { "mcp-name": undefined } }, -32020],
  ["a name in bad base64", SEARCH, { headers: { "mcp-name": "=?base64?!?=" } }, -32020],
  ["an older revision in the header", SEARCH, { headers: { "mcp-protocol-version": "2025-11-25" } }, -32020],
  ["no revision in the body", SEARCH, { meta: {} }, -32602],
  [
    "another revision in the body",
    SEARCH,
    { meta: { ...META, "io.modelcontextprotocol/protocolVersion": "2025-11-25" } },
    -32020,
  ],
  ["no header for an argument that has one", REGION, {}, -32020],
  ["another value in an argument's header", REGION, { headers: { "mcp-param-region": "e" } }, -32020],
])("refuses %s", async (...[, message, lies, code]) => {
  const before = upstream.received.length;
  const answer = await send(alice, message, lies);
  expect(answer.status).toBe(400);
  expect(answer.messages).toMatchObject([{ id: 1, error: { code } }]);
  expect(upstream.received.length).toBe(before);
});

test("has one event for a call whose headers lie about what was decided", async () => {
  const before = (await harness.events()).length;
  await send(alice, SEARCH, { headers: { "mcp-name": "safe" } });
  const events = (await harness.events()).slice(before);
  expect(events).toMatchObject([
    { action: "tool.call", outcome: "denied", reason: "header_mismatch", details: { tool: "search" } },
  ]);
});

test("passes an argument's header that says what the body says", async () => {
  const encoded = `=?base64?${Buffer.from("é").toString("base64")}?=`;
  const answer = await send(alice, REGION, { headers: { "mcp-param-region": encoded } });
  expect(answer.status).toBe(200);
  expect(upstream.received.at(-1)?.headers["mcp-param-region"]).toBe(encoded);
});

/** A call with a number as written in its body, and the header that repeats it. */
function sized(written: string, header: string): Promise<Posted> {
  const params = { name: "search", arguments: { page: { size: "@" } }, _meta: META };
  const body = JSON.stringify(request(1, "tools/call", params)).replace('"@"', written);
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "search" };
  return post(url, alice.key, body, { headers: { ...headers, "mcp-param-size": header } });
}

test.each([
  ["0", ""],
  ["16", "0x10"],
  ["1000", "1e3"],
  ["9007199254740993", "9007199254740992"],
  ["1", "-1"],
  ["1e-2", "100"],
  ["true", "1"],
])("refuses a number whose header another reader takes for a different one: %s, `%s`", async (written, header) => {
  const before = upstream.received.length;
  expect((await sized(written, header)).messages).toMatchObject([{ id: 1, error: { code: -32020 } }]);
  expect(upstream.received.length).toBe(before);
});

test.each([
  ["42", "42.0"],
  ["4.20e1", "42"],
  ["-0", "0"],
  ["9007199254740993", "9007199254740993"],
  ["1e-7", "1e-7"],
  ["true", "true"],
  ['"5"', "5"],
])("passes a number that its header writes alike or otherwise: %s, `%s`", async (written, header) => {
  expect((await sized(written, header)).status).toBe(200);
  expect(upstream.received.at(-1)?.headers["mcp-param-size"]).toBe(header);
});

test("refuses a name in bytes that readers take for different characters", async () => {
  const name = "s\u00c3\u00a9";
  const message = { method: "tools/call", params: { name } };
  // `fetch` writes each of these characters as one byte, and the bytes are `sé` in UTF-8.
  expect((await send(alice, message)).messages).toMatchObject([{ id: 1, error: { code: -32020 } }]);
  const encoded = `=?base64?${Buffer.from(name).toString("base64")}?=`;
  expect((await send(alice, message, { headers: { "mcp-name": encoded } })).status).toBe(200);
});

test("makes a filtered list private and short-lived", async () => {
  const answer = await send(alice, { method: "tools/list", params: {} });
  expect(answer.messages[0]?.result).toEqual({ tools: [{ name: "search" }], ttlMs: 5000, cacheScope: "private" });
});

test("seals request state to its agent", async () => {
  const first = await send(alice, { method: "tools/call", params: { name: "state" } });
  const state = String(first.messages[0]?.result?.["requestState"]);
  expect(state).not.toContain("st-1");
  await send(alice, { method: "tools/call", params: { name: "state", requestState: state, inputResponses: {} } });
  expect(upstream.received.at(-1)?.message.params?.["requestState"]).toBe("st-1");
  const stolen = await send(bob, { method: "tools/call", params: { name: "state", requestState: state } });
  expect(stolen.messages).toMatchObject([{ error: { code: -32602 } }]);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({
    actor: { name: "bob" },
    outcome: "denied",
    reason: "unknown_handle",
    details: { tool: "state" },
  });
});

test("denies a subscription to a resource that is not assigned", async () => {
  expect((await subscribe("file:///b")).messages).toMatchObject([{ error: { code: -32011 } }]);
  expect((await subscribe("file:///a2")).messages).toMatchObject([{ result: {} }]);
});

test("tells a subscription to lists when rights change, under its id, and only of the lists that it asked for", async () => {
  const params = {
    notifications: { toolsListChanged: true, resourcesListChanged: false, resourceSubscriptions: ["file:///a1"] },
    _meta: META,
  };
  const headers = { "mcp-protocol-version": VERSION, "mcp-method": "subscriptions/listen" };
  const stream = await openStream(
    url,
    streamInit(alice.key, request("sub-1", "subscriptions/listen", params), headers),
  );
  const acknowledged = "notifications/subscriptions/acknowledged";
  expect((await stream.next())?.message).toMatchObject({ method: acknowledged });
  await harness.store.transaction(async (tx) => {
    const found = await tx.agents.get(alice.agent.id);
    await tx.agents.save({ ...found, groups: ["changed"], version: found.version + 1 });
  });
  expect((await stream.next())?.message).toEqual({
    jsonrpc: "2.0",
    method: "notifications/tools/list_changed",
    params: { _meta: { "io.modelcontextprotocol/subscriptionId": "sub-1" } },
  });
  listening?.response.end();
  expect((await stream.next())?.message?.method).toBeUndefined();
  stream.close();
});

test("knows only POST, and answers an unknown method with 404", async () => {
  const stream = await openStream(url, streamInit(alice.key, undefined, { "mcp-protocol-version": VERSION }));
  expect(stream.status).toBe(405);
  for (const method of ["tools/other", "ping", "initialize", "resources/subscribe"]) {
    const unknown = await send(alice, { method, params: {} });
    expect([unknown.status, unknown.messages[0]?.id, unknown.messages[0]?.error?.code]).toEqual([404, 1, -32601]);
  }
});

test("names the revisions that it speaks to a client of another one, under the id of its request", async () => {
  const version = "1900-01-01";
  const meta = { ...META, "io.modelcontextprotocol/protocolVersion": version };
  const answer = await send(alice, SEARCH, { headers: { "mcp-protocol-version": version }, meta });
  expect(answer.status).toBe(400);
  expect(answer.messages).toMatchObject([{ id: 1, error: { code: -32022, data: { requested: version } } }]);
});

async function subscribe(uri: string): Promise<Posted> {
  const notifications = { resourceSubscriptions: ["file:///a1", uri] };
  return send(alice, { method: "subscriptions/listen", params: { notifications } });
}
