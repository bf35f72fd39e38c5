import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type Reply, type TestApp } from "../harness/app.ts";

let app: TestApp;
let upstream: RunningServer;
let operator: string;
let tool: string;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  operator = textAt((await app.rest("POST /api-keys", { name: "op-key", role: "operator" })).body, "secret");
  tool = textAt((await addServer("s")).body, "server", "tools", 0, "name");
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

function addServer(name: string, more: Record<string, unknown> = {}, key?: string): Promise<Reply> {
  const url = `${upstream.origin}/mcp`;
  const input = { name, transport: "streamable-http", url, allowPrivateNetwork: true, ...more };
  return app.rest("POST /servers", input, key);
}

async function addAgent(name: string, more: Record<string, unknown> = {}): Promise<{ id: string; client: Client }> {
  const { body } = await app.rest("POST /agents", { name, type: "claude-code", servers: ["s"], ...more });
  return { id: textAt(body, "agent", "id"), client: await app.agentClient("s", textAt(body, "key")) };
}

async function addPolicy(name: string, more: Record<string, unknown> = {}): Promise<string> {
  const rule = { effect: "deny", principals: { everyone: true }, resources: { tools: ["no-such-tool"] } };
  const reply = await app.rest("POST /policies", { name, ...rule, ...more });
  expect(reply).toMatchObject({ status: 200 });
  return textAt(reply.body, "policy", "id");
}

async function policy(name: string): Promise<unknown> {
  return at((await app.rest(`GET /policies/${name}`)).body, "policy");
}

test("deleting a server takes it out of policies and disables one that it empties, never widening it", async () => {
  await addServer("gone");
  await addPolicy("only-gone", { resources: { servers: ["gone"], tools: ["*"] } });
  await addPolicy("gone-and-s", { resources: { servers: ["gone", "s"], tools: ["no-such-tool"] } });
  await addPolicy("tool-of-gone", { resources: { tools: ["gone/x"] } });
  await addPolicy("all-but-gone", { mode: "monitor", resources: { everything: true, except: { servers: ["gone"] } } });
  await addPolicy("text-on-gone", {
    effect: undefined,
    principals: undefined,
    resources: undefined,
    cedar: 'forbid (principal, action, resource in Runlayer::Server::"gone");',
  });
  const agent = await addAgent("reader");
  const rehearsed = await app.rest("DELETE /servers/gone", {});
  expect(rehearsed.status).toBe(428);
  expect(await policy("only-gone")).toMatchObject({ mode: "enforce", version: 1 });
  const { body } = await app.rest("DELETE /servers/gone", { confirm: true });
  const named = (field: string): unknown[] => {
    const items = at(body, "impact", field);
    return Array.isArray(items) ? items.map((item: unknown) => textAt(item, "name")).toSorted() : [];
  };
  expect(named("policiesDisabled")).toEqual(["only-gone", "text-on-gone", "tool-of-gone"]);
  expect(named("policies")).toEqual(["all-but-gone", "gone-and-s", "only-gone", "text-on-gone", "tool-of-gone"]);
  expect(await policy("only-gone")).toMatchObject({ mode: "disabled", version: 2 });
  expect(await policy("gone-and-s")).toMatchObject({ mode: "enforce", resources: { servers: ["s"] } });
  expect(at(await policy("all-but-gone"), "resources")).toEqual({ everything: true });
  await agent.client.callTool({ name: tool, arguments: {} });
  // Switched on again it still selects nothing.
  await app.rest("PATCH /policies/only-gone", { mode: "enforce" });
  await agent.client.callTool({ name: tool, arguments: {} });
});

test("deleting an agent takes it out of policies and disables one that it empties", async () => {
  await addAgent("leaver");
  await addPolicy("only-leaver", { principals: { agents: ["leaver"] } });
  await addPolicy("leaver-or-role", { principals: { agents: ["leaver"], roles: ["auditor"] } });
  const { body } = await app.rest("DELETE /agents/leaver", { confirm: true });
  expect(at(body, "impact", "policiesDisabled")).toMatchObject([{ name: "only-leaver" }]);
  expect(await policy("leaver-or-role")).toMatchObject({ mode: "enforce", principals: { roles: ["auditor"] } });
});

test("policies are attached to servers and agents, and taken off again", async () => {
  await addServer("t");
  await addPolicy("attached", { resources: { servers: ["t"], tools: ["*"] }, principals: { agentTypes: ["cursor"] } });
  const created = await addServer("u", { policies: ["attached"] });
  expect(at(created.body, "server", "policies")).toContainEqual(expect.objectContaining({ name: "attached" }));
  expect(at(await policy("attached"), "resources", "servers")).toEqual(["t", "u"]);
  const left = await app.rest("PATCH /servers/u", { removePolicies: ["attached"] });
  expect(left.status).toBe(200);
  expect(at(await policy("attached"), "resources", "servers")).toEqual(["t"]);
  await app.rest("PATCH /servers/u", { addPolicies: ["attached"] });
  await app.rest("PATCH /servers/u", { policies: [] });
  expect(at(await policy("attached"), "resources", "servers")).toEqual(["t"]);
  const agent = await app.rest("POST /agents", { name: "att", type: "codex", policies: ["attached"] });
  expect(at(agent.body, "agent", "policies")).toContainEqual(expect.objectContaining({ name: "attached" }));
  expect(at(await policy("attached"), "principals")).toEqual({ agentTypes: ["cursor"], agents: ["att"] });
  await app.rest("PATCH /agents/att", { removePolicies: ["attached"] });
  expect(at(await policy("attached"), "principals")).toEqual({ agentTypes: ["cursor"] });
  expect((await app.rest("PATCH /agents/att", { removePolicies: ["attached"] })).status).toBe(400);
  expect((await app.rest("PATCH /agents/att", { addPolicies: ["ghost"] })).status).toBe(404);
  const listed = await app.rest("GET /servers", { policy: "attached" });
  expect(listed.body["items"]).toMatchObject([{ name: "t", security: { policyCount: expect.any(Number) } }]);
});

test("whoever changes a policy through what it names stands in the policy's history", async () => {
  const history = async (id: string) => {
    const { body } = await app.rest("GET /audit-events", { policy: id });
    const items = body["items"];
    return (Array.isArray(items) ? items : []).map((item: unknown) => ({
      action: textAt(item, "action"),
      actor: at(item, "actor", "name"),
      details: at(item, "details"),
    }));
  };
  const me = at((await app.rest("GET /audit-events", { order: "desc", limit: 1 })).body, "items", 0, "actor", "name");
  const principals = { agents: [(await addAgent("first-traced")).id] };
  const id = await addPolicy("traced", { principals, resources: { servers: ["s"], tools: ["no-such-tool"] } });
  const second = { name: "second-traced", type: "codex", policies: ["traced"] };
  const secondId = textAt((await app.rest("POST /agents", second)).body, "agent", "id");
  await app.rest("PATCH /agents/second-traced", { removePolicies: ["traced"] });
  const emptied = await app.rest("PATCH /agents/first-traced", { removePolicies: ["traced"] });
  expect(emptied.body["policiesDisabled"]).toEqual([{ id, name: "traced" }]);
  const traced = { type: "agent", id: secondId, name: "second-traced" };
  expect(await history(id)).toMatchObject([
    { action: "policy.update", actor: me, details: { version: 2, changed: ["principals"], joined: traced } },
    { action: "policy.update", details: { version: 3, changed: ["principals"], left: traced } },
    {
      action: "policy.update",
      details: { version: 4, mode: "disabled", changed: ["mode"], left: { name: "first-traced" } },
    },
  ]);
  expect((await addServer("traced-server", { policies: ["traced"] })).status).toBe(200);
  await app.rest("PATCH /servers/traced-server", { policies: [] });
  await app.rest("PATCH /policies/traced", { description: "seen" });
  await app.rest("PATCH /servers/traced-server", { addPolicies: ["traced"] });
  await app.rest("DELETE /servers/traced-server", { confirm: true });
  const actions = (await history(id)).map(({ action }) => action);
  expect(actions.slice(3)).toEqual([...Array.from({ length: 5 }, () => "policy.update"), "server.delete"]);
  // To be changed is not to match.
  expect(await policy("traced")).toMatchObject({ matches: { total: 0 }, violations: { total: 0 } });
});

test("an operator cannot reach round a policy by groups, owner, name or scope", async () => {
  await app.rest("POST /members", { email: "sam@example.org", name: "Sam", role: "operator", groups: ["insiders"] });
  await addAgent("bound");
  await addAgent("free");
  await addPolicy("bound-only", { principals: { agents: ["bound"], groups: ["insiders"] } });
  await addPolicy("on-s", { resources: { servers: ["s"], tools: ["no-such-tool"] } });
  const refused = async (route: string, input: object, field: string) => {
    const reply = await app.rest(route, input, operator);
    expect(reply).toMatchObject({ status: 403, body: { code: "forbidden" } });
    expect(JSON.stringify(reply.body)).toContain(field);
  };
  await refused("PATCH /agents/free", { groups: ["insiders"] }, "groups");
  await refused("PATCH /agents/bound", { groups: ["anything"] }, "groups");
  await refused("PATCH /agents/bound", { name: "unbound" }, "name");
  await refused("PATCH /agents/free", { owner: "sam@example.org" }, "owner");
  await refused("PATCH /agents/free", { addPolicies: ["bound-only"] }, "addPolicies");
  await refused("POST /agents", { name: "new", type: "cursor", groups: ["insiders"] }, "groups");
  await refused("POST /agents", { name: "new", type: "cursor", policies: ["bound-only"] }, "policies");
  await refused("PATCH /servers/s", { name: "s2" }, "name");
  await refused("PATCH /servers/s", { removePolicies: ["on-s"] }, "removePolicies");
  expect((await app.rest("PATCH /agents/free", { groups: ["harmless"] }, operator)).status).toBe(200);
  expect((await app.rest("PATCH /agents/free", { name: "freer" }, operator)).status).toBe(200);
  const security = textAt((await app.rest("POST /api-keys", { name: "sec-key", role: "security" })).body, "secret");
  expect((await app.rest("PATCH /agents/freer", { groups: ["insiders"] }, security)).status).toBe(200);
});

test("security changes the name and the owner that a policy rests on, and no others", async () => {
  const made = await app.rest("POST /api-keys", { name: "guard-key", role: "security" });
  const security = textAt(made.body, "secret");
  await app.rest("POST /members", { email: "kim@example.org", name: "Kim", role: "member" });
  await app.rest("POST /members", { email: "ruled@example.org", name: "Ruled", role: "member" });
  await addServer("guarded");
  await addServer("unguarded");
  await addAgent("guarded");
  await addAgent("unguarded");
  const skill = { description: "writes notes", instructions: "Write a note." };
  await app.rest("POST /skills", { name: "guarded", ...skill });
  await app.rest("POST /skills", { name: "unguarded", ...skill });
  const principals = { agents: ["guarded"], members: ["ruled@example.org"] };
  await addPolicy("guards", { principals, resources: { servers: ["guarded"], skills: ["guarded"] } });
  for (const kind of ["servers", "agents", "skills"]) {
    const free = await app.rest(`PATCH /${kind}/unguarded`, { name: "renamed" }, security);
    expect(free).toMatchObject({ status: 403, body: { code: "forbidden", details: { field: "name" } } });
    expect(await app.rest(`PATCH /${kind}/guarded`, { name: "renamed" }, security)).toMatchObject({ status: 200 });
    const content = await app.rest(`PATCH /${kind}/renamed`, { name: "again", description: "x" }, security);
    expect(content).toMatchObject({ status: 403, body: { details: { field: "description" } } });
    if (kind === "skills") continue;
    const own = await app.rest(`PATCH /${kind}/unguarded`, { owner: "owner@localhost" }, security);
    expect(own).toMatchObject({ status: 403, body: { code: "forbidden", details: { field: "owner" } } });
    const owned = await app.rest(`PATCH /${kind}/renamed`, { owner: "kim@example.org" }, security);
    expect(owned).toMatchObject({ status: 200 });
    const ruled = await app.rest(`PATCH /${kind}/unguarded`, { owner: "ruled@example.org" }, security);
    expect(ruled).toMatchObject({ status: 200 });
  }
});

test("a key below its member's role does not lend the member to an agent", async () => {
  const ann = { email: "ann@example.org", name: "Ann", role: "operator", groups: ["trusted"] };
  await app.rest("POST /members", ann);
  await addPolicy("trusted-and-owners", { principals: { groups: ["trusted"], roles: ["owner"] } });
  // The owner answers for this key, and its holder is no more than an operator.
  const asOwner = await app.rest("POST /agents", { name: "lent", type: "cursor", owner: "owner@localhost" }, operator);
  expect(asOwner).toMatchObject({ status: 403, body: { code: "forbidden", details: { field: "owner" } } });
  await addAgent("to-lend");
  const taken = await app.rest("PATCH /agents/to-lend", { owner: "owner@localhost" }, operator);
  expect(taken).toMatchObject({ status: 403, body: { code: "forbidden", details: { field: "owner" } } });
  // A key that holds all of its member's role speaks for the member.
  const made = await app.rest("POST /api-keys", { name: "ann-key", role: "operator", member: ann.email });
  const own = await app.rest("PATCH /agents/to-lend", { owner: ann.email }, textAt(made.body, "secret"));
  expect(own).toMatchObject({ status: 200, body: { agent: { owner: { name: "Ann" } } } });
});

test("says what an agent may do, why, and who else may", async () => {
  const agent = await addAgent("curious");
  const { client } = agent;
  await addPolicy("no-tool", { principals: { agents: ["curious"] }, resources: { tools: [`s/${tool}`] } });
  await expect(client.callTool({ name: tool, arguments: {} })).rejects.toThrow();
  const shown = await app.rest("GET /agents/curious");
  expect(at(shown.body, "agent")).toMatchObject({
    policyCount: expect.any(Number),
    compliance: { state: "violating" },
  });
  expect(at(shown.body, "agent", "compliance", "violations")).toContainEqual(
    expect.objectContaining({ policy: expect.objectContaining({ name: "no-tool" }), count: 1 }),
  );
  const tools = at(shown.body, "agent", "access", 0, "tools");
  expect(tools).toContainEqual({
    tool,
    access: "denied",
    reason: "policy",
    policies: [expect.objectContaining({ name: "no-tool" })],
  });
  const violating = await app.rest("GET /agents", { compliance: "violating" });
  expect(violating.body["items"]).toContainEqual(expect.objectContaining({ name: "curious" }));
  const unused = await app.rest("GET /agents", { compliance: "unused" });
  expect(unused.body["items"]).not.toContainEqual(expect.objectContaining({ name: "curious" }));
  const explained = await app.rest("POST /access/explanations", { agent: "curious", server: "s", tool });
  expect(explained).toMatchObject({
    status: 200,
    body: { decision: "deny", access: "denied", reason: "policy", policies: [{ name: "no-tool" }] },
  });
  expect(explained.body["considered"]).toContainEqual(
    expect.objectContaining({ name: "no-tool", effect: "deny", mode: "enforce", result: "matched" }),
  );
  const unassigned = await app.rest("POST /access/explanations", { agent: "curious", server: "t", tool });
  expect(unassigned.body).toMatchObject({ access: "denied", reason: "not_assigned", policies: [] });
  expect((await app.rest("POST /access/explanations", { agent: "ghost", server: "s", tool })).status).toBe(404);
  const listed = await app.rest("GET /access", { server: "s", tool });
  expect(listed.body["items"]).toContainEqual(
    expect.objectContaining({ agent: expect.objectContaining({ name: "curious" }), hasAccess: false }),
  );
  expect(listed.body["items"]).toContainEqual(
    expect.objectContaining({ agent: expect.objectContaining({ name: "reader" }), hasAccess: true }),
  );
  expect((await app.rest("GET /access", { server: "ghost" })).status).toBe(404);
});

test("simulates a rule that is not saved, and a saved one in another mode", async () => {
  await addAgent("trial");
  const call = { agent: "trial", server: "s", tool, arguments: { path: "/etc/passwd" } };
  const rule = {
    effect: "deny",
    principals: { agents: ["trial"] },
    resources: { servers: ["s"] },
    conditions: [{ field: "args.path", operator: "starts_with", value: "/etc" }],
  };
  const simulated = await app.rest("POST /policies/simulations", { ...rule, call });
  expect(simulated.body).toMatchObject({
    call: { before: { access: "allowed", reason: "assignment" }, after: { access: "conditional", reason: "policy" } },
    impact: { newlyDenied: 0, replayed: expect.any(Number) },
  });
  await addPolicy("watched", { ...rule, mode: "monitor" });
  const enforced = await app.rest("POST /policies/simulations", { id: "watched", call });
  expect(at(enforced.body, "call", "after", "policies")).toMatchObject([{ name: "watched" }]);
  expect(await policy("watched")).toMatchObject({ mode: "monitor", version: 1 });
  expect((await app.rest("POST /policies/simulations", {})).status).toBe(400);
  expect((await app.rest("POST /policies/simulations", { id: "ghost" })).status).toBe(404);
  const member = textAt((await app.rest("POST /api-keys", { name: "m-key", role: "member" })).body, "secret");
  expect((await app.rest("POST /policies/simulations", { id: "watched" }, member)).status).toBe(403);
});
