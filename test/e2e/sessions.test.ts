import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { post, request } from "../gateway/client.ts";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;
let upstream: RunningServer;
let operator: string;
let ownKey: string;
const keys = new Map<string, string>();

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  const server = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  for (const name of ["s", "t"]) await app.rest("POST /servers", { name, ...server });
  await app.rest("POST /members", { email: "mo@example.com", name: "Mo", role: "member" });
  for (const [name, owner] of [
    ["mos", "mo@example.com"],
    ["others", undefined],
  ] as const) {
    const { body } = await app.rest("POST /agents", { name, type: "codex", servers: ["s", "t"], owner });
    keys.set(name, textAt(body, "key"));
  }
  operator = await makeKey({ name: "op", role: "operator" });
  ownKey = await makeKey({ name: "mo-key", role: "member", member: "mo@example.com" });
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

async function makeKey(input: object): Promise<string> {
  return textAt((await app.rest("POST /api-keys", input)).body, "secret");
}

const keyOf = (agent: string): string => keys.get(agent) ?? "";

interface ShownSession {
  readonly id: string;
  readonly agent: { readonly name: string };
  readonly server?: { readonly name: string };
}

async function list(filter: object = {}, key?: string): Promise<readonly ShownSession[]> {
  const { body } = await app.rest("GET /sessions", filter, key);
  const { items } = Object(body);
  return items;
}

async function sessionOf(agent: string): Promise<string> {
  const [session] = await list({ agent });
  if (session === undefined) throw new Error(`no session of ${agent}`);
  return session.id;
}

async function closeAll(...clients: Client[]): Promise<void> {
  for (const client of clients) await client.close();
  for (const { id } of await list()) await app.rest(`POST /sessions/${id}/end`, {});
}

test("lists sessions of one server and of all, by agent and server, page by page", async () => {
  const one = await app.agentClient("s", keyOf("mos"));
  const two = await app.agentClient("t", keyOf("others"));
  const all = await app.aggregateClient(keyOf("others"));
  const listed = await list();
  expect(listed.map(({ agent, server }) => [agent.name, server?.name])).toEqual(
    expect.arrayContaining([
      ["mos", "s"],
      ["others", "t"],
      ["others", undefined],
    ]),
  );
  const [own] = await list({ agent: "mos" });
  const time = expect.stringMatching(/^\d{4}-.*Z$/);
  expect(own).toMatchObject({ client: expect.any(String), openedAt: time, lastSeenAt: time });
  expect(own).toHaveProperty("key.id");
  expect(JSON.stringify(listed)).not.toContain(keyOf("mos"));
  expect((await list({ server: "t" })).map(({ agent }) => agent.name)).toEqual(["others"]);
  const first = await app.rest("GET /sessions", { limit: 1 });
  const rest = await app.rest("GET /sessions", { limit: 200, cursor: textAt(first.body, "nextCursor") });
  expect([...Object(first.body).items, ...Object(rest.body).items]).toEqual(listed);
  expect(first.body["total"]).toBe(listed.length);
  expect((await app.rest("GET /sessions", { agent: "nobody" })).status).toBe(404);
  await closeAll(one, two, all);
});

test("a member sees the sessions of its own agents, and ends none", async () => {
  const [own, foreign] = [await app.agentClient("s", keyOf("mos")), await app.agentClient("s", keyOf("others"))];
  expect((await list({}, ownKey)).map(({ agent }) => agent.name)).toEqual(["mos"]);
  expect((await app.rest("GET /sessions", { agent: "others" }, ownKey)).body["code"]).toBe("not_found");
  const id = await sessionOf("mos");
  expect((await app.rest(`POST /sessions/${id}/end`, {}, ownKey)).body["code"]).toBe("forbidden");
  await closeAll(own, foreign);
});

test("a member learns of no server or agent of others, not even that there is one", async () => {
  const endpoint = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "unseen", ...endpoint });
  await app.rest("POST /members", { email: "ada@example.com", name: "Ada", role: "member" });
  const answer = async (route: string, field: string, name: string) => {
    const { status, body } = await app.rest(route, { [field]: name }, ownKey);
    const { correlationId: _, ...problem } = body;
    return [status, JSON.stringify(problem).replaceAll(name, "NAME")];
  };
  for (const route of ["GET /sessions", "GET /approvals", "GET /agents"]) {
    const unknown = await answer(route, "server", "nowhere");
    expect(unknown[0]).toBe(404);
    expect(await answer(route, "server", "unseen")).toEqual(unknown);
    expect((await app.rest(route, { server: "s" }, ownKey)).status).toBe(200);
  }
  await app.rest("PATCH /agents/others", { groups: ["theirs"] });
  await app.rest("PATCH /agents/mos", { groups: ["ours"] });
  for (const [field, own, unseen] of [
    ["group", "ours", "theirs"],
    ["owner", "mo@example.com", "ada@example.com"],
  ] as const) {
    const unknown = await answer("GET /agents", field, "nothing");
    expect(unknown[0]).toBe(404);
    expect(await answer("GET /agents", field, unseen)).toEqual(unknown);
    expect((await app.rest("GET /agents", { [field]: own }, ownKey)).body["total"]).toBe(1);
  }
  for (const route of ["GET /sessions", "GET /approvals"]) {
    const unknown = await answer(route, "agent", "nobody");
    expect(unknown[0]).toBe(404);
    expect(await answer(route, "agent", "others")).toEqual(unknown);
    expect((await app.rest(route, { agent: "mos" }, ownKey)).status).toBe(200);
  }
});

test("ends a session at once and for good, its stream and at its server too; the agent may begin anew", async () => {
  const client = await app.agentClient("s", keyOf("mos"));
  const closed = new Promise<void>((resolve) => {
    client.onerror = () => resolve();
  });
  const id = await sessionOf("mos");
  const rehearsed = await app.rest(`POST /sessions/${id}/end`, { dryRun: true }, operator);
  expect(rehearsed.status).toBe(200);
  await client.listTools();
  const ended = await app.rest(`POST /sessions/${id}/end`, {}, operator);
  expect(ended).toMatchObject({
    status: 200,
    body: { session: { id, agent: { name: "mos" }, server: { name: "s" } } },
  });
  await expect(client.listTools()).rejects.toThrow();
  await closed;
  await expect.poll(() => upstream.seen.some(({ method }) => method === "DELETE")).toBe(true);
  expect(await list({ agent: "mos" })).toEqual([]);
  expect((await app.rest(`POST /sessions/${id}/end`, {}, operator)).status).toBe(404);
  await expectEvent(app, { action: "session.end", resourceId: id });
  const { body } = await app.rest("GET /audit-events", { action: "session.end", agent: "mos", sessionId: id });
  expect(at(body, "items", 0)).toMatchObject({
    actor: { type: "agent" },
    details: { reason: "ended_by_administrator" },
  });
  const again = await app.agentClient("s", keyOf("mos"));
  expect((await again.listTools()).tools.length).toBeGreaterThan(0);
  await closeAll(again);
});

test("an ended session does not come back by its id", async () => {
  const url = `${app.url}/gateway/s/mcp`;
  const params = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "raw", version: "1" } };
  const opened = await post(url, keyOf("others"), request(1, "initialize", params));
  const headers = {
    "mcp-session-id": String(opened.headers.get("mcp-session-id")),
    "mcp-protocol-version": "2025-11-25",
  };
  expect((await post(url, keyOf("others"), request(2, "tools/list"), { headers })).status).toBe(200);
  await app.rest(`POST /sessions/${await sessionOf("others")}/end`, {});
  expect((await post(url, keyOf("others"), request(3, "tools/list"), { headers })).status).toBe(404);
  expect(await list({ agent: "others" })).toEqual([]);
});

test("ends a session with all servers", async () => {
  const client = await app.aggregateClient(keyOf("others"));
  await client.listTools();
  const whole = (await list({ agent: "others" })).find(({ server }) => server === undefined);
  expect((await app.rest(`POST /sessions/${whole?.id}/end`, {}, operator)).status).toBe(200);
  await expect(client.listTools()).rejects.toThrow();
  expect((await list({ agent: "others" })).filter(({ server }) => server === undefined)).toEqual([]);
  await closeAll();
});

test.each(["DELETE /agents", "DELETE /servers"])(
  "%s leaves on record that the sessions which it ends have ended",
  async (route) => {
    const kind = route.split("/")[1] ?? "";
    const server = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
    await app.rest("POST /servers", { name: `of-${kind}`, ...server });
    const agent = await app.rest("POST /agents", { name: `at-${kind}`, type: "codex", servers: [`of-${kind}`] });
    const key = textAt(agent.body, "key");
    const clients = [await app.agentClient(`of-${kind}`, key), await app.aggregateClient(key)];
    const ended = (await list({ agent: `at-${kind}` })).filter((one) => kind === "agents" || one.server !== undefined);
    expect(ended.length).toBeGreaterThan(0);
    const name = kind === "agents" ? `at-${kind}` : `of-${kind}`;
    expect((await app.rest(`DELETE /${kind}/${name}`, { confirm: true })).status).toBe(200);
    for (const { id } of ended) {
      const { body } = await app.rest("GET /audit-events", { action: "session.end", sessionId: id });
      expect(body["items"]).toMatchObject([{ actor: { name: `at-${kind}` }, details: { reason: "access_ended" } }]);
    }
    await closeAll(...clients);
  },
);
