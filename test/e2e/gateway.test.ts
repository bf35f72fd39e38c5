import { afterAll, beforeAll, expect, test } from "vitest";
import { openStream, post, call, request, streamInit } from "../gateway/client.ts";
import { plainServer, sendJson, startSse, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

const CREDENTIAL = "upstream-credential-of-server-a";
const DENIED = -32_011;

let app: TestApp;
let upstream: TestUpstream;
let other: TestUpstream;
let openUpstreams = 0;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startUpstream((received) => {
    received.response.setHeader("set-cookie", "upstream-session=of-the-upstream");
    received.response.setHeader("www-authenticate", "Bearer realm=upstream-realm");
    received.response.setHeader("x-upstream", "internal-host-7");
    const name = received.message.method === "tools/call" ? received.message.params?.["name"] : undefined;
    if (name === "read_redirect")
      return void received.response.writeHead(307, { location: "https://elsewhere.example/mcp" }).end();
    if (name === "read_challenge") return sendJson(received, { error: "who are you" }, { status: 401 });
    if (received.method !== "GET" && name !== "read_forever") return plainServer(received);
    openUpstreams += 1;
    received.response.on("close", () => (openUpstreams -= 1));
    startSse(received);
    received.response.write(": open\n\n");
  });
  other = await startUpstream(plainServer);
  await register("server-a", upstream, { credential: { type: "bearer", token: CREDENTIAL } });
  await register("server-b", other);
});

afterAll(async () => {
  await app.close();
  await upstream.close();
  await other.close();
});

async function register(name: string, { url }: TestUpstream, more: object = {}): Promise<void> {
  const server = { name, transport: "streamable-http", url: `${url}/mcp`, allowPrivateNetwork: true, ...more };
  expect((await app.rest("POST /servers", server)).status).toBe(200);
}

/** An agent that may only read on server A. */
async function createAgent(name: string): Promise<{ id: string; key: string; keyId: string; name: string }> {
  const servers = [{ server: "server-a", tools: ["read_*"] }];
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers });
  return {
    id: textAt(body, "agent", "id"),
    key: textAt(body, "key"),
    keyId: textAt(body, "agent", "key", "id"),
    name,
  };
}

/** Events of an agent, read as an administrator's client does. */
async function eventsOf(agent: string, action: string): Promise<readonly unknown[]> {
  const admin = await app.mcp();
  const answer = await admin.callTool({ name: "get_audit_logs", arguments: { agent, action } });
  const items = at(answer.structuredContent, "items");
  return Array.isArray(items) ? items : [];
}

const urlOf = (server: string): string => `${app.url}/gateway/${server}/mcp`;

test("an agent of server A finds no server B, and that is one event", async () => {
  const agent = await createAgent("stays-in-a");
  await expect(app.agentClient("server-b", agent.key)).rejects.toThrow();
  const events = await eventsOf(agent.name, "session.open");
  expect(events).toHaveLength(1);
  expect(events[0]).toMatchObject({
    actor: { type: "agent", id: agent.id, name: agent.name },
    resource: { type: "server", name: "server-b" },
    outcome: "denied",
    reason: "not_assigned",
  });
  expect((await post(urlOf("server-b"), agent.key, request(1, "initialize"))).status).toBe(404);
  expect((await post(urlOf("no-such"), agent.key, request(1, "initialize"))).status).toBe(404);
});

test("an agent sees its allowed tools only, and is denied the others, each in one event", async () => {
  const agent = await createAgent("reads-only");
  const client = await app.agentClient("server-a", agent.key);
  const { tools } = await client.listTools();
  expect(tools.map((tool) => tool.name)).toEqual(["read_file"]);
  expect(await eventsOf(agent.name, "tool.list")).toMatchObject([
    { actor: { id: agent.id }, resource: { type: "server", name: "server-a" }, outcome: "success" },
  ]);
  const denied = client.callTool({ name: "delete_file", arguments: { path: "a" } });
  await expect(denied).rejects.toMatchObject({
    code: DENIED,
    data: { type: "runlayer.denied", reason: "not_assigned" },
  });
  expect(await eventsOf(agent.name, "tool.call")).toMatchObject([
    {
      actor: { id: agent.id },
      outcome: "denied",
      reason: "not_assigned",
      resource: { type: "tool", name: "server-a/delete_file" },
      details: { server: { name: "server-a" }, tool: "delete_file" },
    },
  ]);
  const allowed = await client.callTool({ name: "read_file", arguments: { path: "a" } });
  expect(allowed.isError).toBeUndefined();
  expect(await eventsOf(agent.name, "tool.call")).toMatchObject([
    { outcome: "denied" },
    { outcome: "success", resource: { name: "server-a/read_file" } },
  ]);
  await client.close();
});

test("the upstream sees its credential and never the agent's key; the agent sees nothing of the upstream's head", async () => {
  const agent = await createAgent("sees-nothing");
  upstream.received.length = 0;
  const opened = await post(urlOf("server-a"), agent.key, initialize(), { headers: { cookie: "agent-cookie=1" } });
  const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const read = await post(urlOf("server-a"), agent.key, call(2, "read_file"), { headers: session });
  const redirected = await post(urlOf("server-a"), agent.key, call(3, "read_redirect"), { headers: session });
  const challenged = await post(urlOf("server-a"), agent.key, call(4, "read_challenge"), { headers: session });
  expect(read.status).toBe(200);
  for (const answer of [opened, read, redirected, challenged]) {
    const shown = `${answer.text}\n${[...answer.headers].flat().join("\n")}`;
    expect(answer.headers.get("set-cookie")).toBeNull();
    expect(answer.headers.get("www-authenticate")).toBeNull();
    expect(answer.headers.get("location")).toBeNull();
    expect(
      [CREDENTIAL, "upstream-session", "upstream-realm", "internal-host-7", "elsewhere.example"].filter((text) =>
        shown.includes(text),
      ),
    ).toEqual([]);
  }
  expect([redirected.status, challenged.status].every((status) => status !== 307 && status !== 401)).toBe(true);
  expect(upstream.received.map(({ headers }) => headers.authorization)).toEqual(
    upstream.received.map(() => `Bearer ${CREDENTIAL}`),
  );
  const received = JSON.stringify(upstream.received.map(({ headers, body, url }) => ({ headers, body, url })));
  expect(received).not.toContain(agent.key);
  expect(received).not.toContain("agent-cookie");
});

interface CutOff {
  readonly what: string;
  /** What the next message is answered with. */
  readonly status: number;
  readonly end: (agent: { id: string; keyId: string }) => Promise<{ status: number }>;
  readonly restore?: () => Promise<unknown>;
}

const setStatus = (status: string) => app.rest("PATCH /servers/server-a", { status });
const CUT_OFFS: readonly CutOff[] = [
  {
    what: "revoking the key",
    status: 401,
    end: ({ keyId }) => app.rest(`POST /api-keys/${keyId}/revoke`, { confirm: true }),
  },
  { what: "rotating the key", status: 401, end: ({ id }) => app.rest(`PATCH /agents/${id}`, { rotateKey: true }) },
  {
    what: "suspending the agent",
    status: 403,
    end: ({ id }) => app.rest(`PATCH /agents/${id}`, { status: "suspended" }),
  },
  {
    what: "unassigning the server",
    status: 404,
    end: ({ id }) => app.rest(`PATCH /agents/${id}`, { removeServers: ["server-a"] }),
  },
  { what: "deleting the agent", status: 401, end: ({ id }) => app.rest(`DELETE /agents/${id}`, { confirm: true }) },
  {
    what: "disabling the server",
    status: 403,
    end: () => setStatus("disabled"),
    restore: () => setStatus("active"),
  },
  {
    what: "quarantining the server",
    status: 403,
    end: () => setStatus("quarantined"),
    restore: () => setStatus("active"),
  },
  {
    what: "deleting the server",
    status: 404,
    end: () => app.rest("DELETE /servers/server-a", { confirm: true }),
    restore: () => register("server-a", upstream, { credential: { type: "bearer", token: CREDENTIAL } }),
  },
];

test.each(CUT_OFFS)("$what ends open streams before the operation answers", async ({ what, status, end, restore }) => {
  await expect.poll(() => openUpstreams).toBe(0);
  const agent = await createAgent(what.replaceAll(" ", "-"));
  const opened = await post(urlOf("server-a"), agent.key, initialize());
  const session = { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" };
  const standing = await openStream(urlOf("server-a"), streamInit(agent.key, undefined, session));
  const pending = await openStream(urlOf("server-a"), streamInit(agent.key, call(2, "read_forever"), session));
  expect([standing.status, pending.status]).toEqual([200, 200]);
  await expect.poll(() => openUpstreams).toBe(2);
  expect((await end(agent)).status).toBe(200);
  expect(await liveExchanges()).toBe(0);
  expect(await standing.next()).toBeUndefined();
  const last = await pending.next();
  if (last !== undefined) {
    expect(last.message?.error?.code).toBe(DENIED);
    expect(await pending.next()).toBeUndefined();
  }
  await expect.poll(() => openUpstreams).toBe(0);
  expect((await post(urlOf("server-a"), agent.key, call(3, "read_file"), { headers: session })).status).toBe(status);
  await restore?.();
});

function initialize(): object {
  const clientInfo = { name: "e2e", version: "1.0.0" };
  return request(1, "initialize", { protocolVersion: "2025-11-25", capabilities: {}, clientInfo });
}

async function liveExchanges(): Promise<number> {
  const text = await (await fetch(`${app.url}/metrics`)).text();
  return Number(/^runlayer_gateway_live_exchanges (\d+)$/m.exec(text)?.[1]);
}
