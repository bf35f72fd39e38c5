import { connect as connectSocket } from "node:net";
import { Client as ModernClient, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as OldClient } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as OldTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startLegacyServer, startModernServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer } from "../harness/cli.ts";

let app: TestApp;
let legacy: RunningServer;
let modern: RunningServer;
let tool: string;
let securityKey: string;
let ownerMemberKey: string;
let agentKey: string;
const closers: (() => Promise<unknown>)[] = [];

beforeAll(async () => {
  app = await startTestApp();
  legacy = await startLegacyServer();
  modern = await startModernServer();
  const add = (name: string, upstream: RunningServer) =>
    app.rest("POST /servers", {
      name,
      transport: "streamable-http",
      url: `${upstream.origin}/mcp`,
      allowPrivateNetwork: true,
    });
  tool = textAt((await add("old", legacy)).body, "server", "tools", 0, "name");
  await add("new", modern);
  await app.rest("POST /members", { email: "ada@example.com", name: "Ada", role: "security" });
  const key = async (name: string, more: object) =>
    textAt((await app.rest("POST /api-keys", { name, role: "security", ...more })).body, "secret");
  securityKey = await key("sec", {});
  ownerMemberKey = await key("ada-key", { member: "ada@example.com" });
  const agent = { name: "builder", type: "claude-code", owner: "ada@example.com", servers: ["old", "new"] };
  agentKey = textAt((await app.rest("POST /agents", agent)).body, "key");
  const policy = {
    name: "ask-first",
    effect: "require_approval",
    principals: { everyone: true },
    resources: { servers: ["old", "new"] },
    actions: ["call_tool"],
  };
  expect((await app.rest("POST /policies", policy)).status).toBe(200);
});

afterAll(async () => {
  for (const close of closers) await close();
  await app.close();
  await legacy.close();
  await modern.close();
});

let calls = 0;
let args: Record<string, unknown>;

beforeEach(() => {
  calls += 1;
  args = { text: `call ${calls}` };
});

const requestInit = () => ({ headers: { Authorization: `Bearer ${agentKey}` } });

async function connectOld(path = "old/mcp") {
  const client = new OldClient({ name: "old", version: "1" });
  await client.connect(new OldTransport(new URL(`${app.url}/gateway/${path}`), { requestInit: requestInit() }));
  closers.push(() => client.close());
  return client;
}

async function connectModern(answer?: "accept" | "decline") {
  const capabilities = answer === undefined ? {} : { elicitation: { form: {} } };
  const client = new ModernClient(
    { name: "new", version: "1" },
    { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } },
  );
  const asked: unknown[] = [];
  if (answer !== undefined)
    client.setRequestHandler("elicitation/create", ({ params }) => {
      asked.push(params);
      return answer === "accept" ? { action: "accept", content: {} } : { action: "decline" };
    });
  const url = new URL(`${app.url}/gateway/new/mcp`);
  await client.connect(new StreamableHTTPClientTransport(url, { requestInit: requestInit() }));
  closers.push(() => client.close());
  return { client, asked };
}

/** The approval of this test's call, once it is filed. */
async function filed(status = "pending"): Promise<string> {
  for (let attempt = 0; attempt < 200; attempt += 1) {
    const { body } = await app.rest("GET /approvals", { status, limit: 200 });
    const items = Array.isArray(body["items"]) ? body["items"] : [];
    const own = items.find((item) => at(item, "arguments", "text") === args["text"]);
    if (own !== undefined) return textAt(own, "id");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error("nothing was filed");
}

const decide = (id: string, decision: "approve" | "deny", key = securityKey) =>
  app.rest(`POST /approvals/${id}/decide`, { decision, note: "looked at it" }, key);

const seen = (upstream: RunningServer) => upstream.seen.filter(({ method }) => method === "POST").length;

async function refusal(call: Promise<unknown>) {
  const error: unknown = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  const { code, data } = Object(error);
  return { code, data };
}

async function events(correlationId: string) {
  const { body } = await app.rest("GET /audit-events", { correlationId });
  const items = Array.isArray(body["items"]) ? body["items"] : [];
  return items.map((item) => [at(item, "action"), at(item, "outcome")]);
}

test("a held call of a session client stays open, tells its progress, and goes on once after approval", async () => {
  const client = await connectOld();
  const progress: unknown[] = [];
  const before = seen(legacy);
  const call = client.callTool({ name: tool, arguments: args }, undefined, {
    onprogress: (step) => void progress.push(step),
  });
  const id = await filed();
  expect(seen(legacy)).toBe(before);
  const listed = await app.rest("GET /approvals", { agent: "builder", server: "old" });
  const table = await runlayer(["approvals", "list"], { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: securityKey });
  const shown = at(listed.body, "items", 0);
  for (const part of [id, JSON.stringify(args), "ask-first", textAt(shown, "requestedAt"), textAt(shown, "expiresAt")])
    expect(table.out).toContain(part);
  expect(table.out).not.toContain(textAt(shown, "argumentsHash").slice(0, 20));
  expect(at(listed.body, "items", 0)).toMatchObject({
    id,
    status: "pending",
    agent: { name: "builder" },
    member: { name: "Ada" },
    server: { name: "old" },
    target: { type: "tool", name: tool },
    arguments: args,
    policies: [{ name: "ask-first" }],
  });
  const organization = await app.rest("GET /organization");
  expect(JSON.stringify(organization.body)).toContain("approvals_pending");
  const stale = { decision: "approve", expectedVersion: 7 };
  const refused = await app.rest(`POST /approvals/${id}/decide`, stale, securityKey);
  expect(refused.body).toMatchObject({ code: "conflict", details: { field: "expectedVersion", version: 1 } });
  const decided = await decide(id, "approve");
  expect(at(decided.body, "approval")).toMatchObject({ status: "approved", decidedBy: { name: "sec" } });
  expect(at(await call, "content", 0, "text")).toBe(JSON.stringify(args));
  expect(progress.length).toBeGreaterThan(0);
  expect(seen(legacy)).toBe(before + 1);
  expect(await filed("used")).toBe(id);
  expect(await events(textAt(decided.body, "approval", "correlationId"))).toEqual([
    ["tool.call", "held"],
    ["approval.decide", "success"],
    ["tool.call", "success"],
  ]);
});

test("a call behind the one connection to all servers is held as the call of its server", async () => {
  const client = await connectOld("mcp");
  const before = seen(legacy);
  const call = client.callTool({ name: `old__${tool}`, arguments: args });
  const decided = await decide(await filed(), "approve");
  expect(at(decided.body, "approval")).toMatchObject({ server: { name: "old" }, target: { name: tool } });
  expect(at(await call, "content", 0, "text")).toBe(JSON.stringify(args));
  expect(seen(legacy)).toBeGreaterThan(before);
});

test("two equal calls that wait share no approval", async () => {
  const [one, two] = [await connectOld(), await connectOld()];
  const before = seen(legacy);
  const both = [one, two].map((client) =>
    client.callTool({ name: tool, arguments: args }).then(
      () => "passed",
      (error: unknown) => String(Object(error).code),
    ),
  );
  const id = await filed();
  await new Promise((resolve) => setTimeout(resolve, 300));
  await decide(id, "approve");
  expect((await Promise.all(both)).toSorted((left, right) => left.localeCompare(right))).toEqual(["-32012", "passed"]);
  expect(seen(legacy)).toBe(before + 1);
});

test("a denied call is refused, and again when it is repeated", async () => {
  const client = await connectOld();
  const before = seen(legacy);
  const call = refusal(client.callTool({ name: tool, arguments: args }));
  const id = await filed();
  expect((await decide(id, "deny")).status).toBe(200);
  const denied = { code: -32011, data: { type: "runlayer.denied", reason: "approval_denied" } };
  expect(await call).toMatchObject(denied);
  expect(await refusal(client.callTool({ name: tool, arguments: args }))).toMatchObject(denied);
  expect(seen(legacy)).toBe(before);
});

test("a held call whose client is gone or took it back is not sent", async () => {
  const client = await connectOld();
  const before = seen(legacy);
  const abort = new AbortController();
  const call = refusal(client.callTool({ name: tool, arguments: args }, undefined, { signal: abort.signal }));
  const id = await filed();
  abort.abort("no longer needed");
  await call;
  await new Promise((resolve) => setTimeout(resolve, 200));
  await decide(id, "approve");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(seen(legacy)).toBe(before);
  expect(await filed("approved")).toBe(id);
  // The approval is still there for the same call.
  await client.callTool({ name: tool, arguments: args });
  expect(seen(legacy)).toBe(before + 1);
});

test("a call that is taken back before it waits is not sent either", async () => {
  const client = new OldClient({ name: "old", version: "1" });
  const transport = new OldTransport(new URL(`${app.url}/gateway/old/mcp`), { requestInit: requestInit() });
  await client.connect(transport);
  closers.push(() => client.close());
  const before = seen(legacy);
  const { hostname, port } = new URL(app.url);
  const post = (message: object): string => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message });
    const headers = {
      Host: `${hostname}:${port}`,
      ...requestInit().headers,
      "Content-Type": "application/json",
      Accept: "application/json, text/event-stream",
      "Mcp-Session-Id": transport.sessionId ?? "",
      "Content-Length": String(Buffer.byteLength(body)),
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`);
    return ["POST /gateway/old/mcp HTTP/1.1", ...lines, "", body].join("\r\n");
  };
  // On one connection they are handled in this order, and the second before the first has asked for an approval.
  const socket = connectSocket(Number(port), hostname);
  const call = post({ id: 77, method: "tools/call", params: { name: tool, arguments: args } });
  socket.write(call + post({ method: "notifications/cancelled", params: { requestId: 77 } }));
  const id = await filed();
  await decide(id, "approve");
  await new Promise((resolve) => setTimeout(resolve, 300));
  socket.destroy();
  expect(seen(legacy)).toBe(before);
  expect(await filed("approved")).toBe(id);
});

test("a held call ends when its agent is suspended, and nothing is sent", async () => {
  const client = await connectOld();
  const before = seen(legacy);
  const call = refusal(client.callTool({ name: tool, arguments: args }));
  const id = await filed();
  await app.rest("PATCH /agents/builder", { status: "suspended" });
  expect((await call).code).not.toBeUndefined();
  await decide(id, "approve");
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(seen(legacy)).toBe(before);
  await app.rest("PATCH /agents/builder", { status: "active" });
});

test("a stateless client without forms is told, and a repeated identical call finds its approval once", async () => {
  const { client } = await connectModern();
  const before = seen(modern);
  const call = () => client.callTool({ name: tool, arguments: args });
  const first = await refusal(call());
  const id = await filed();
  expect(first).toMatchObject({ code: -32012, data: { type: "runlayer.approval_pending", approvalId: id } });
  expect(await refusal(call())).toMatchObject({ code: -32012, data: { approvalId: id } });
  await decide(id, "approve");
  expect(await refusal(client.callTool({ name: tool, arguments: { ...args, more: 1 } }))).toMatchObject({
    code: -32012,
  });
  expect(at(await call(), "content", 0, "text")).toBe(JSON.stringify(args));
  expect(seen(modern)).toBe(before + 1);
  const second = await refusal(call());
  expect(second.code).toBe(-32012);
  expect(second.data.approvalId).not.toBe(id);
  expect(seen(modern)).toBe(before + 1);
  const log = await app.rest("GET /audit-events", { correlationId: first.data.correlationId });
  expect(log.body["total"]).toBe(4);
});

test("a stateless client with forms is asked once, waits, and goes on", async () => {
  const { client, asked } = await connectModern("accept");
  const before = seen(modern);
  const call = client.callTool({ name: tool, arguments: args });
  await decide(await filed(), "approve");
  expect(at(await call, "content", 0, "text")).toBe(JSON.stringify(args));
  expect(asked).toHaveLength(1);
  expect(seen(modern)).toBe(before + 1);
});

test("a person who declines to wait gives the call up", async () => {
  const { client, asked } = await connectModern("decline");
  const before = seen(modern);
  expect((await refusal(client.callTool({ name: tool, arguments: args }))).code).toBe(-32012);
  expect(asked).toHaveLength(1);
  expect(seen(modern)).toBe(before);
});

test("a deny that comes while a call is held wins over its approval", async () => {
  const { client } = await connectModern("accept");
  const before = seen(modern);
  const call = refusal(client.callTool({ name: tool, arguments: args }));
  const id = await filed();
  const deny = { name: "stop", effect: "deny", principals: { everyone: true }, resources: { servers: ["new"] } };
  expect((await app.rest("POST /policies", { ...deny, confirm: true })).status).toBe(200);
  await decide(id, "approve");
  expect(await call).toMatchObject({ code: -32011, data: { reason: "policy" } });
  expect(seen(modern)).toBe(before);
  await app.rest("DELETE /policies/stop", { confirm: true });
});

test("nobody behind the agent decides, and the attempt is on record", async () => {
  const { client } = await connectModern();
  await refusal(client.callTool({ name: tool, arguments: args }));
  const id = await filed();
  const own = await decide(id, "approve", ownerMemberKey);
  expect(own.body["code"]).toBe("forbidden");
  const denied = await app.rest("GET /audit-events", { action: "approval.decide", resource: id, outcome: "denied" });
  expect(at(denied.body, "items")).toMatchObject([{ reason: "self_approval", actor: { name: "ada-key" } }]);
  // Giving the agent away does not help: the approval knows who acted.
  await app.rest("PATCH /agents/builder", { owner: null });
  expect((await decide(id, "approve", ownerMemberKey)).body["code"]).toBe("forbidden");
  await app.rest("PATCH /agents/builder", { owner: "ada@example.com" });
  expect((await decide(id, "approve")).status).toBe(200);
  const again = await decide(id, "approve");
  expect(again.body["code"]).toBe("conflict");
});

test("refuses what is no approval, wrong input and callers without the role", async () => {
  const nothing = "0190a0a0-0000-7000-8000-000000000000";
  expect((await decide(nothing, "approve")).body["code"]).toBe("not_found");
  expect((await app.rest(`POST /approvals/${nothing}/decide`, {})).body["code"]).toBe("invalid_input");
  expect((await app.rest(`POST /approvals/${nothing}/decide`, { decision: "approve" }, "")).status).toBe(401);
  expect((await app.rest("GET /approvals", { agent: "nobody" })).body["code"]).toBe("not_found");
  expect((await app.rest("GET /approvals", { status: "odd" })).body["code"]).toBe("invalid_input");
  expect((await app.rest("GET /approvals", {}, agentKey)).status).toBe(401);
});

test("approvals survive a restart", async () => {
  const { client } = await connectModern();
  await refusal(client.callTool({ name: tool, arguments: args }));
  const id = await filed();
  await decide(id, "approve");
  await app.restart();
  expect(await filed("approved")).toBe(id);
  expect(at(await client.callTool({ name: tool, arguments: args }), "content", 0, "text")).toBe(JSON.stringify(args));
});
