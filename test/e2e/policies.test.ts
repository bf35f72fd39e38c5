import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;
let upstream: RunningServer;
let tool: string;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  const server = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  const { body } = await app.rest("POST /servers", { name: "s", ...server, groups: ["backends"] });
  tool = textAt(body, "server", "tools", 0, "name");
  await app.rest("POST /servers", { name: "other", ...server });
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

beforeEach(async () => {
  const { body } = await app.rest("GET /policies", { limit: 200 });
  const items = body["items"];
  for (const item of Array.isArray(items) ? items : []) {
    await app.rest(`DELETE /policies/${textAt(item, "id")}`, { confirm: true });
  }
});

interface TestAgent {
  readonly name: string;
  readonly id: string;
  readonly client: Client;
}

let agents = 0;

async function addAgent(more: Record<string, unknown> = {}): Promise<TestAgent> {
  agents += 1;
  const name = `agent-${agents}`;
  const { body } = await app.rest("POST /agents", { name, type: "claude-code", servers: ["s"], ...more });
  const client = await app.agentClient("s", textAt(body, "key"));
  return { name, id: textAt(body, "agent", "id"), client };
}

/** `passed`, or what the gateway's refusal says. */
async function outcome({ client }: TestAgent, args: Record<string, unknown> = {}): Promise<unknown> {
  try {
    await client.callTool({ name: tool, arguments: args });
    return "passed";
  } catch (error) {
    return at(error, "data", "reason") ?? Object(error).data?.reason ?? String(error);
  }
}

async function create(input: Record<string, unknown>) {
  const reply = await app.rest("POST /policies", input);
  expect(reply).toMatchObject({ status: 200 });
  return reply.body;
}

const developersOnly = {
  name: "developers-only",
  effect: "deny",
  principals: { everyone: true, except: { groups: ["approved-developers"] } },
  resources: { servers: ["s"] },
};

test("restricts a server to a group in one call, counts the violations, and gives everything back", async () => {
  const [developer, other] = [await addAgent({ groups: ["approved-developers"] }), await addAgent()];
  expect(await outcome(other)).toBe("passed");
  const body = await create(developersOnly);
  expect(at(body, "policy")).toMatchObject({ mode: "enforce", version: 1, ...developersOnly });
  expect(textAt(body, "policy", "cedar")).toContain("forbid");
  expect(at(body, "impact", "newlyDenied")).toBe(1);
  expect(at(body, "impact", "loses")).toContainEqual({ id: other.id, name: other.name });
  await expectEvent(app, { action: "policy.create", resourceId: textAt(body, "policy", "id") });
  expect(await outcome(developer)).toBe("passed");
  expect(await outcome(other)).toBe("policy");
  expect(await outcome(other)).toBe("policy");
  const listed = await app.rest("GET /policies", { server: "s" });
  expect(at(listed.body, "items", 0)).toMatchObject({
    violations: { total: 2, last24h: 2, last7d: 2, byResource: [{ name: `s/${tool}`, violations: 2 }] },
    matches: { total: 2 },
  });
  expect((await app.rest("GET /policies", { server: "other" })).body["total"]).toBe(0);
  expect((await app.rest("GET /policies", { group: "approved-developers" })).body["total"]).toBe(1);
  const events = await app.rest("GET /audit-events", { policy: "developers-only", outcome: "denied" });
  expect(events.body["total"]).toBe(2);
  const unconfirmed = await app.rest("DELETE /policies/developers-only", {});
  expect(unconfirmed).toMatchObject({ status: 428, body: { code: "confirmation_required" } });
  expect(await outcome(other)).toBe("policy");
  const deleted = await app.rest("DELETE /policies/developers-only", { confirm: true });
  expect(at(deleted.body, "impact", "gains")).toContainEqual({ id: other.id, name: other.name });
  expect(at(deleted.body, "impact", "newlyAllowed")).toBe(4);
  expect(at(deleted.body, "impact", "loses")).toEqual([]);
  expect(await outcome(other)).toBe("passed");
  await expectEvent(app, { action: "policy.delete", resourceId: textAt(body, "policy", "id") });
  expect((await app.rest("GET /policies/developers-only")).status).toBe(404);
});

test("what the replay predicts is what happens", async () => {
  const agent = await addAgent();
  const amounts = [5, 50, 500, 5];
  for (const amount of amounts) expect(await outcome(agent, { amount })).toBe("passed");
  const rule = {
    name: "small-amounts",
    effect: "deny",
    principals: { agents: [agent.name] },
    resources: { everything: true },
    actions: ["call_tool"],
    conditions: [{ field: "args.amount", operator: "gte", value: 50 }],
  };
  const { body: predicted } = await app.rest("POST /policies", { ...rule, dryRun: true });
  expect(at(predicted, "impact")).toMatchObject({ newlyDenied: 2, newlyAllowed: 0, newlyHeld: 0, undetermined: 0 });
  expect(at(predicted, "impact", "examples", 0)).toMatchObject({
    agent: agent.name,
    server: "s",
    tool,
    arguments: { amount: 500 },
    before: "allow",
    after: "deny",
  });
  expect((await app.rest("GET /policies/small-amounts")).status).toBe(404);
  await create(rule);
  const outcomes = [];
  for (const amount of amounts) outcomes.push(await outcome(agent, { amount }));
  expect(outcomes).toEqual(["passed", "policy", "policy", "passed"]);
});

test("a repeated creation tells the predicted effect again", async () => {
  const agent = await addAgent();
  expect(await outcome(agent)).toBe("passed");
  const rule = { effect: "deny", principals: { agents: [agent.name] }, resources: { servers: ["s"] } };
  const input = { name: "repeated", ...rule, idempotencyKey: "policy-once" };
  const first = await app.rest("POST /policies", input);
  expect(at(first.body, "impact", "newlyDenied")).toBeGreaterThan(0);
  expect(await app.rest("POST /policies", input)).toEqual(first);
});

test("is changed field by field, shows what changed, and obeys mode and expiry", async () => {
  const agent = await addAgent();
  await create({ name: "p", effect: "deny", principals: { agents: [agent.name] }, resources: { servers: ["s"] } });
  expect(await outcome(agent)).toBe("policy");
  const watched = await app.rest("PATCH /policies/p", { mode: "monitor", description: "only watch" });
  expect(watched).toMatchObject({ status: 200, body: { policy: { version: 2, mode: "monitor" } } });
  expect(watched.body["diff"]).toEqual([
    { field: "description", before: null, after: "only watch" },
    { field: "mode", before: "enforce", after: "monitor" },
  ]);
  expect(at(watched.body, "impact", "newlyAllowed")).toBe(1);
  expect(await outcome(agent)).toBe("passed");
  expect(at((await app.rest("GET /policies/p")).body, "policy")).toMatchObject({
    matches: { total: 2 },
    violations: { total: 2 },
  });
  const stale = await app.rest("PATCH /policies/p", { mode: "enforce", expectedVersion: 1 });
  expect(stale).toMatchObject({ status: 409, body: { code: "conflict" } });
  const narrowed = await app.rest("PATCH /policies/p", {
    mode: "enforce",
    conditions: [{ field: "args.x", operator: "eq", value: 1 }],
  });
  expect(narrowed.status).toBe(200);
  expect(await outcome(agent)).toBe("passed");
  expect(await outcome(agent, { x: 1 })).toBe("policy");
  const cleared = await app.rest("PATCH /policies/p", { conditions: null, effect: "require_approval" });
  expect(at(cleared.body, "policy", "conditions")).toEqual([]);
  expect(textAt(cleared.body, "policy", "cedar")).toContain("require_approval");
  const asText = await app.rest("PATCH /policies/p", {
    cedar: `forbid (principal in Runlayer::Agent::"${agent.name}", action, resource);`,
  });
  expect(at(asText.body, "policy")).toMatchObject({ effect: "deny" });
  expect(textAt(asText.body, "policy", "cedar")).toContain(agent.id);
  expect(await outcome(agent)).toBe("policy");
});

test("shows every part of a rule: defaults where nothing was said, nothing for a Cedar text", async () => {
  const scope = { principals: { everyone: true }, resources: { tools: ["no_such_tool"] } };
  const cedar = "forbid (principal, action, resource) when { false };";
  const rules: readonly (readonly [object, object])[] = [
    [
      { effect: "deny", ...scope },
      { ...scope, actions: ["any"], conditions: [] },
    ],
    [
      { effect: "require_approval", ...scope },
      { ...scope, actions: ["call_tool", "run_skill"], conditions: [] },
    ],
    [
      { effect: "deny", ...scope, actions: ["connect"] },
      { ...scope, actions: ["connect"], conditions: [] },
    ],
    [{ cedar }, { principals: {}, resources: {}, actions: [], conditions: [] }],
  ];
  for (const [input, parts] of rules) {
    expect(at(await create({ name: "shown", ...input }), "policy")).toMatchObject(parts);
    expect(at((await app.rest("GET /policies/shown")).body, "policy")).toMatchObject(parts);
    // As it is shown it may be given back.
    const again = await app.rest("PATCH /policies/shown", { ...parts, ...("cedar" in input ? { cedar } : {}) });
    expect(again.status, JSON.stringify(again.body)).toBe(200);
    await app.rest("DELETE /policies/shown", { confirm: true });
  }
});

test("warns of a new group by its name, when it is tried and when it is made", async () => {
  const principals = { everyone: true, except: { groups: ["approved-devs-new"] } };
  const rule = { effect: "deny", principals, resources: { tools: ["no_such_tool"] } };
  const warning = { code: "empty_group", message: "group `approved-devs-new` is empty" };
  const tried = await app.rest("POST /policies/simulations", rule);
  expect(at(tried.body, "warnings")).toContainEqual(warning);
  const made = await create({ name: "new-group", ...rule });
  expect(at(made, "warnings")).toContainEqual(warning);
});

test("warns of a policy that has expired", async () => {
  const rule = { effect: "deny", principals: { everyone: true }, resources: { tools: ["no_such_tool"] } };
  const codes = (body: unknown): unknown => Object(at(body, "warnings")).map(({ code }: { code: string }) => code);
  expect(codes(await create({ name: "late", ...rule, expiresAt: "2020-01-01T00:00:00Z" }))).toContain("expired");
  expect(codes((await app.rest("GET /policies/late")).body)).toContain("expired");
  const longer = await app.rest("PATCH /policies/late", { expiresAt: "2099-01-01T00:00:00Z" });
  expect(codes(longer.body)).not.toContain("expired");
});

test("counts survive a restart", async () => {
  const agent = await addAgent();
  await create({ name: "kept", effect: "deny", principals: { agents: [agent.name] }, resources: { servers: ["s"] } });
  expect(await outcome(agent)).toBe("policy");
  await app.restart();
  expect(at((await app.rest("GET /policies/kept")).body, "policy", "violations", "total")).toBe(1);
});

test.each([
  ["neither rule nor text", { effect: "deny" }, "principals"],
  ["no effect", { principals: { everyone: true }, resources: { everything: true } }, "effect"],
  ["empty principals", { effect: "deny", principals: {}, resources: { everything: true } }, "principals"],
  ["empty resources", { effect: "deny", principals: { everyone: true }, resources: {} }, "resources"],
  ["an unknown field", { effect: "deny", principals: { anyone: true }, resources: { everything: true } }, "anyone"],
  [
    "an unknown trait",
    { effect: "deny", principals: { everyone: true }, resources: { tools: ["trait:x"] } },
    "trait:x",
  ],
  [
    "a condition on a field that does not exist",
    {
      effect: "deny",
      principals: { everyone: true },
      resources: { servers: ["s"] },
      conditions: [{ field: "context.moon", operator: "eq", value: "full" }],
    },
    "context.moon",
  ],
  ["Cedar with a syntax error", { cedar: "forbid (principal, action resource);" }, "line 1"],
  ["Cedar with an unknown type", { cedar: "forbid (principal is Ghost, action, resource);" }, "Ghost"],
  ["text beside fields", { cedar: "forbid (principal, action, resource);", actions: ["any"] }, "actions"],
])("refuses %s and names it", async (_, input, named) => {
  const reply = await app.rest("POST /policies", { name: "bad", ...input });
  expect(reply).toMatchObject({ status: 400, body: { code: "invalid_input" } });
  expect(JSON.stringify(reply.body)).toContain(named);
  expect((await app.rest("GET /policies/bad")).status).toBe(404);
});

test("refuses what is not there, taken, too large, or not the caller's to change", async () => {
  const rule = { effect: "deny", principals: { everyone: true }, resources: { servers: ["s"] } };
  const unknown = await app.rest("POST /policies", { name: "x", ...rule, resources: { servers: ["nowhere"] } });
  expect(unknown).toMatchObject({ status: 404, body: { code: "not_found" } });
  expect(JSON.stringify(unknown.body)).toContain("nowhere");
  await create({ name: "x", ...rule });
  expect((await app.rest("POST /policies", { name: "x", ...rule })).status).toBe(409);
  const large = await app.rest("POST /policies", { name: "y", cedar: `// ${"x".repeat(70_000)}` });
  expect(large).toMatchObject({ status: 413, body: { code: "payload_too_large" } });
  for (const route of ["PATCH /policies/ghost", "DELETE /policies/ghost"]) {
    expect(
      (await app.rest(route, { confirm: true, ...(route.startsWith("P") ? { mode: "monitor" } : {}) })).status,
    ).toBe(404);
  }
  const { body } = await app.rest("POST /api-keys", { name: "op-key", role: "operator" });
  const operator = textAt(body, "secret");
  expect((await app.rest("POST /policies", { name: "z", ...rule }, operator)).status).toBe(403);
  expect((await app.rest("PATCH /policies/x", { mode: "disabled" }, operator)).status).toBe(403);
  expect((await app.rest("DELETE /policies/x", { confirm: true }, operator)).status).toBe(403);
  expect((await app.rest("GET /policies/x", undefined, operator)).status).toBe(200);
  await expectEvent(app, { action: "policy.create", resourceId: "create_policy", outcome: "denied" });
});

test("a rule that cuts off every agent needs confirmation", async () => {
  await addAgent();
  const all = { name: "all", effect: "deny", principals: { everyone: true }, resources: { everything: true } };
  const refused = await app.rest("POST /policies", all);
  expect(refused).toMatchObject({ status: 428, body: { code: "confirmation_required" } });
  const watched = await app.rest("POST /policies", { ...all, mode: "monitor" });
  expect(watched.status).toBe(200);
  expect((await app.rest("PATCH /policies/all", { mode: "enforce" })).status).toBe(428);
  expect((await app.rest("PATCH /policies/all", { mode: "enforce", confirm: true })).status).toBe(200);
});

test.each([
  ["every tool", { resources: { everything: true, tools: ["*"] } }],
  ["every connection", { resources: { everything: true }, actions: ["connect"] }],
  ["all but a group that nobody is in", { principals: { everyone: true, except: { groups: ["typo"] } } }],
  ["everything, as text", { cedar: "forbid (principal, action, resource) when { true };" }],
])("a rule that cuts off every agent needs confirmation, also one about %s", async (_, parts) => {
  await addAgent();
  const everyone = { effect: "deny", principals: { everyone: true }, resources: { everything: true } };
  const rule = { name: "wide", ...("cedar" in parts ? {} : everyone), ...parts };
  const refused = await app.rest("POST /policies", rule);
  expect(refused).toMatchObject({ status: 428, body: { code: "confirmation_required" } });
  expect((await app.rest("POST /policies", { ...rule, mode: "monitor" })).status).toBe(200);
  expect((await app.rest("PATCH /policies/wide", { mode: "enforce" })).status).toBe(428);
  expect((await app.rest("PATCH /policies/wide", { mode: "enforce", confirm: true })).status).toBe(200);
});

test("a rule that leaves some agent something, or names what it cuts off, needs no confirmation", async () => {
  const { name } = await addAgent({ groups: ["kept"] });
  await create({ ...developersOnly, name: "kept", principals: { everyone: true, except: { groups: ["kept"] } } });
  const named = { principals: { agents: [name] }, resources: { everything: true } };
  await create({ name: "named", effect: "deny", ...named });
  const everyone = { effect: "deny", principals: { everyone: true } };
  await create({ name: "servers", ...everyone, resources: { servers: ["s", "other"] } });
  const types = { principals: { agentTypes: ["claude-code"] }, resources: { everything: true } };
  await create({ name: "types", effect: "deny", ...types });
  await create({ name: "tools", ...everyone, resources: { everything: true, tools: ["r*", "w*"] } });
});

test("settings and inventory say what policies need", async () => {
  await create({
    name: "one",
    effect: "deny",
    mode: "monitor",
    principals: { everyone: true },
    resources: { servers: ["s"] },
  });
  const changed = await app.rest("PATCH /organization", { timeZone: "Europe/Berlin", assignmentGrantsAccess: false });
  expect(at(changed.body, "organization", "settings")).toMatchObject({
    timeZone: "Europe/Berlin",
    assignmentGrantsAccess: false,
  });
  expect((await app.rest("PATCH /organization", { timeZone: "Mars/Olympus" })).status).toBe(400);
  await app.rest("PATCH /organization", { timeZone: "UTC", assignmentGrantsAccess: true });
  const { body } = await app.rest("GET /organization");
  expect(at(body, "inventory", "policies")).toEqual({ total: 1, enforce: 0, monitor: 1, disabled: 0 });
});

test("a skill is named like a server, in fields and in Cedar text", async () => {
  const skill = { name: "release-notes", description: "Writes release notes.", instructions: "Read the log." };
  const created = await app.rest("POST /skills", skill);
  expect(created).toMatchObject({ status: 200 });
  const id = textAt(created.body, "skill", "id");
  const rule = { effect: "deny", principals: { everyone: true } };
  const body = await create({ name: "no-notes", ...rule, resources: { skills: ["release-notes"] } });
  expect(at(body, "policy", "resources")).toEqual({ skills: ["release-notes"] });
  expect(textAt(body, "policy", "cedar")).toContain(id);
  const text = await create({
    name: "no-notes-text",
    cedar: 'forbid (principal, action, resource == Runlayer::Skill::"release-notes");',
  });
  expect(textAt(text, "policy", "cedar")).toContain(id);
  const unknown = await app.rest("POST /policies", { name: "nope", ...rule, resources: { skills: ["ghost"] } });
  expect(unknown.status).toBe(404);
});
