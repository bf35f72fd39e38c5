import { afterAll, beforeAll, expect, test } from "vitest";
import { openStream, post, request, streamInit, type OpenStream, type Posted } from "../gateway/client.ts";
import { plainServer, result, sendJson, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;
let upstream: TestUpstream;

beforeAll(async () => {
  app = await startTestApp({ RUNLAYER_TRUSTED_PROXIES: "127.0.0.1" });
  upstream = await startUpstream(plainServer);
  await addServer("files");
});
afterAll(async () => {
  await app.close();
  await upstream.close();
});

const url = (query = ""): string => `${app.url}/gateway/mcp${query}`;

async function addServer(name: string): Promise<void> {
  const endpoint = { transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  const { body } = await app.rest("POST /servers", { name, ...endpoint });
  expect(at(body, "discovery", "state")).toBe("ok");
}

async function addAgent(name: string, fields: Record<string, unknown> = {}): Promise<string> {
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers: ["files"], ...fields });
  return textAt(body, "key");
}

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };

async function openSession(key: string): Promise<Record<string, string>> {
  const opened = await post(url(), key, request(1, "initialize", INITIALIZE));
  expect(opened.messages).toMatchObject([{ id: 1, result: {} }]);
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};

/** Numbers and names that do not survive being read and written anew. */
const ODD = String.raw`{"big": 9007199254740993 ,"whole":1.0,"far":1e400,"minus":-0,"small":1E-7,"__proto__":{"n":0.10},"lone":"\ud800"}`;

test("a tool gets its arguments exactly as the agent wrote them, in both eras", async () => {
  const key = await addAgent("exact");
  const headers = await openSession(key);
  const call = `{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"files__read_file","arguments":${ODD}`;
  const legacy = await post(url(), key, `${call}}}`, { headers });
  expect(legacy.messages).toMatchObject([{ id: 2, result: { content: [{ type: "text" }] } }]);
  expect(upstream.received.at(-1)?.body).toContain(`"arguments":${ODD}`);
  const before = upstream.received.length;
  const modern = await post(url(), key, `${call},"_meta":${JSON.stringify(META)}}}`, {
    headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "files__read_file" },
  });
  expect(modern.messages).toMatchObject([{ id: 2, result: { content: [{ type: "text" }] } }]);
  const sent = upstream.received.slice(before).filter(({ message }) => message.method === "tools/call");
  expect(sent.map(({ body }) => body.includes(`"arguments":${ODD}`))).toEqual([true]);
});

test("a session that moves is decided by where it is now", async () => {
  const policy = {
    name: "not-from-ten",
    effect: "deny",
    principals: { agents: ["moves"] },
    resources: { everything: true },
    actions: ["call_tool"],
    conditions: [{ field: "context.ip", operator: "in_cidr", value: "10.0.0.0/8" }],
  };
  const key = await addAgent("moves");
  expect((await app.rest("POST /policies", policy)).body["code"]).toBeUndefined();
  const headers = await openSession(key);
  const read = (id: number, from: string) =>
    post(url(), key, request(id, "tools/call", { name: "files__read_file", arguments: {} }), {
      headers: { ...headers, "x-forwarded-for": from },
    });
  expect((await read(2, "192.0.2.1")).messages).toMatchObject([{ id: 2, result: {} }]);
  expect((await read(3, "10.1.2.3")).messages).toMatchObject([{ id: 3, error: { code: -32_011 } }]);
  expect((await read(4, "192.0.2.1")).messages).toMatchObject([{ id: 4, result: {} }]);
});

test("an agent with too many sessions loses its own oldest idle one, and takes no place of another agent", async () => {
  const [many, other] = [await addAgent("many"), await addAgent("few")];
  const theirs = await openSession(other);
  const sessions: Record<string, string>[] = [];
  for (let count = 0; count < 101; count += 1) sessions.push(await openSession(many));
  const ping = async (headers = {}, key = many) => (await post(url(), key, request(9, "ping"), { headers })).status;
  expect([await ping(sessions[0]), await ping(sessions[1]), await ping(sessions[100])]).toEqual([404, 200, 200]);
  expect(await ping(theirs, other)).toBe(200);
  const opening = Array.from({ length: 110 }, () => post(url(), many, request(1, "initialize", INITIALIZE)));
  await Promise.all(opening);
  expect(at((await app.rest("GET /agents/many")).body, "agent", "liveSessions")).toBe(100);
  const { body } = await app.rest("GET /audit-events", { agent: "many", action: "session.end" });
  expect(at(body, "items", 0, "details")).toMatchObject({ reason: "too_many_sessions" });
});

const names = (posted: Posted): string[] => {
  const tools = posted.messages[0]?.result?.["tools"];
  return (Array.isArray(tools) ? tools : []).map((tool) => textAt(tool, "name"));
};

test("a server that a policy forbids to connect to shows nothing and takes no call, also in an open session", async () => {
  await addServer("secret");
  const key = await addAgent("kept-out", { servers: ["files", "secret"] });
  const headers = await openSession(key);
  const list = () => post(url(), key, request(2, "tools/list"), { headers });
  const callSecret = () =>
    post(url(), key, request(3, "tools/call", { name: "secret__read_file", arguments: {} }), { headers });
  expect(names(await list())).toContain("secret__read_file");
  expect((await callSecret()).messages).toMatchObject([{ result: {} }]);
  const policy = {
    name: "no-secret",
    effect: "deny",
    principals: { agents: ["kept-out"] },
    resources: { servers: ["secret"] },
    actions: ["connect"],
  };
  expect((await app.rest("POST /policies", policy)).body["code"]).toBeUndefined();
  expect(names(await list()).filter((name) => !name.startsWith("skill__"))).toEqual([
    "files__delete_file",
    "files__read_file",
    "files__write_file",
  ]);
  const denied = { error: { code: -32_011, data: { reason: "policy", policies: [{ name: "no-secret" }] } } };
  expect((await callSecret()).messages).toMatchObject([denied]);
  const fresh = await openSession(key);
  const first = await post(url(), key, request(3, "tools/call", { name: "secret__read_file" }), { headers: fresh });
  expect(first.messages).toMatchObject([{ error: { code: -32_011 } }]);
  const { body } = await app.rest("GET /audit-events", { agent: "kept-out", outcome: "denied", server: "secret" });
  const items = at(body, "items");
  const actions = (Array.isArray(items) ? items : []).map((item) => textAt(item, "action"));
  expect(new Set(actions)).toEqual(new Set(["tool.list", "tool.call"]));
  expect(at(body, "items", 0, "policies", 0, "name")).toBe("no-secret");
});

const forbids: readonly (readonly [string, string, () => Promise<unknown>])[] = [
  ["server_disabled", "off", () => app.rest("PATCH /servers/off", { status: "disabled" })],
  ["server_quarantined", "away", () => app.rest("PATCH /servers/away", { status: "quarantined" })],
  [
    "policy",
    "closed",
    () =>
      app.rest("POST /policies", {
        name: "keep-closed",
        effect: "deny",
        principals: { everyone: true },
        resources: { servers: ["closed"] },
        confirm: true,
      }),
  ],
];

test.each(forbids)(
  "a call that is refused (%s) is recorded as that call, whatever was open",
  async (reason, server, end) => {
    await addServer(server);
    const agent = `asks-${server}`;
    const key = await addAgent(agent, { servers: [server] });
    const message = request(2, "tools/call", { name: `${server}__read_file`, arguments: { path: "a" } });
    const [used, fresh] = [await openSession(key), await openSession(key)];
    await post(url(), key, message, { headers: used });
    await end();
    const called = upstream.received.length;
    for (const headers of [used, fresh]) {
      const { status, messages } = await post(url(), key, message, { headers });
      const data = { type: "runlayer.denied", reason, correlationId: expect.any(String) };
      expect([status, messages]).toMatchObject([200, [{ id: 2, error: { code: -32_011, data } }]]);
    }
    const { body } = await app.rest("GET /audit-events", { agent, outcome: "denied" });
    const event = {
      action: "tool.call",
      reason,
      resource: { name: `${server}/read_file` },
      details: { tool: "read_file", arguments: { path: "a" } },
      durationMs: expect.any(Number),
    };
    expect(body["items"]).toMatchObject([event, event]);
    // The goodbye of the session that was open may come; nothing is opened, and nothing called.
    expect(upstream.received.slice(called).filter(({ method }) => method === "POST")).toEqual([]);
  },
);

const listen = { notifications: { toolsListChanged: true } };

async function openStreams(key: string): Promise<OpenStream[]> {
  const headers = await openSession(key);
  const modern = { "mcp-protocol-version": VERSION, "mcp-method": "subscriptions/listen" };
  const message = request(5, "subscriptions/listen", { ...listen, _meta: META });
  const streams = [
    await openStream(url(), streamInit(key, undefined, headers)),
    await openStream(url(), streamInit(key, message, modern)),
  ];
  expect(streams.map(({ status }) => status)).toEqual([200, 200]);
  return streams;
}

const ends: readonly (readonly [string, (agent: string, id: string) => Promise<unknown>])[] = [
  ["key is revoked", (_agent, id) => app.rest(`POST /api-keys/${id}/revoke`, { confirm: true })],
  ["agent is suspended", (agent) => app.rest(`PATCH /agents/${agent}`, { status: "suspended" })],
  ["agent is deleted", (agent) => app.rest(`DELETE /agents/${agent}`, { confirm: true })],
];

test.each(ends)("sessions count as live, and end with their streams when their %s", async (what, end) => {
  const name = what.replaceAll(" ", "-");
  const key = await addAgent(name);
  const streams = await openStreams(key);
  const { body } = await app.rest(`GET /agents/${name}`);
  expect(at(body, "agent", "liveSessions")).toBe(1);
  const metrics = async () => (await fetch(`${app.url}/metrics`)).text();
  const count = async () => Number(/^runlayer_gateway_live_sessions (\d+)$/m.exec(await metrics())?.[1]);
  const before = await count();
  const { body: preview } = await app.rest(`DELETE /agents/${name}`, { dryRun: true });
  expect(at(preview, "impact", "liveSessions")).toBe(1);
  await end(name, textAt(body, "agent", "key", "id"));
  expect(await count()).toBe(before - 1);
  for (const stream of streams) {
    let event = await stream.next();
    while (event !== undefined) event = await stream.next();
  }
});

test.each(["?names=other", "?names=plain&names=plain", "?names=plain&a=1", "?name=x", "?x", "?=&a=%0a"])(
  "refuses the unknown query `%s`",
  async (query) => {
    const key = await addAgent(`query-${query.length}-${query.replaceAll(/[^a-z]/g, "")}`);
    const refused = await post(url(query), key, request(1, "initialize", INITIALIZE));
    expect([refused.status, refused.messages[0]?.error?.code]).toEqual([400, -32_600]);
    expect((await post(url("?"), key, request(1, "initialize", INITIALIZE))).status).toBe(200);
    expect((await post(url(query), "rl_agent_wrong", request(1, "initialize", INITIALIZE))).status).toBe(401);
  },
);

test("tells listeners of every revision that their lists changed", async () => {
  const key = await addAgent("listens", { servers: [] });
  const streams = await openStreams(key);
  await app.rest("PATCH /agents/listens", { servers: ["files"] });
  for (const stream of streams) {
    let event = await stream.next();
    while (event !== undefined && event.message?.method !== "notifications/tools/list_changed")
      event = await stream.next();
    expect(event?.message?.method).toBe("notifications/tools/list_changed");
    stream.close();
  }
});

test("neither a discovered definition nor an answer shows the credential that a server repeats", async () => {
  const token = "t0ken-of-the-server-1";
  const echo = await startUpstream((received) => {
    const given = String(received.headers.authorization);
    if (received.message.method !== "tools/list") {
      const isCall = received.message.method === "tools/call";
      return isCall
        ? sendJson(received, result(received, { content: [{ type: "text", text: given }] }))
        : plainServer(received);
    }
    const tools = [{ name: "whoami", description: `Uses ${given}`, inputSchema: { type: "object" } }];
    return sendJson(received, result(received, { tools }));
  });
  const endpoint = { transport: "streamable-http", url: `${echo.url}/mcp`, allowPrivateNetwork: true };
  const made = await app.rest("POST /servers", { name: "echo", ...endpoint, credential: { type: "bearer", token } });
  expect(at(made.body, "discovery", "state")).toBe("ok");
  const client = await app.aggregateClient(await addAgent("curious", { servers: ["echo"] }));
  const { tools } = await client.listTools();
  const called = await client.callTool({ name: "echo__whoami", arguments: {} });
  const shown = JSON.stringify([made.body, (await app.rest("GET /servers/echo")).body, tools, called]);
  await echo.close();
  expect(shown).not.toContain(token);
  expect(at(called, "content", 0, "text")).toBe(`Bearer ${"*".repeat(token.length)}`);
  expect(JSON.stringify(tools)).toContain(`Uses Bearer ${"*".repeat(token.length)}`);
  expect(at((await app.rest("GET /servers/echo")).body, "server", "tools", 0, "state")).toBe("approved");
});
