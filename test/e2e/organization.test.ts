import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { listen, startLegacyServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
});

afterAll(() => app.close());

test("shows the organization, its settings and what it has", async () => {
  const { body } = await app.rest("GET /organization");
  expect(at(body, "organization", "settings")).toMatchObject({
    auditPayloads: "redacted",
    auditDurability: "before-dispatch",
  });
  expect(at(body, "inventory")).toMatchObject({ members: 1, apiKeys: { active: 1 } });
});

test("changes settings with a version and an event", async () => {
  const changed = await app.rest("PATCH /organization", {
    name: "Example",
    auditPayloads: "digest",
    expectedVersion: 1,
  });
  expect(at(changed.body, "organization")).toMatchObject({
    name: "Example",
    version: 2,
    settings: { auditPayloads: "digest" },
  });
  expect((await app.rest("PATCH /organization", { name: "x", expectedVersion: 1 })).body["code"]).toBe("conflict");
  expect((await app.rest("PATCH /organization", { auditPayloads: "everything" })).body["code"]).toBe("invalid_input");
  await expectEvent(app, { action: "organization.update", resourceId: textAt(changed.body, "organization", "id") });
});

test("invites, lists and changes members", async () => {
  const invited = await app.rest("POST /members", {
    email: "Ada@Example.com",
    name: "Ada",
    role: "operator",
    groups: ["core"],
  });
  expect(at(invited.body, "member")).toMatchObject({ email: "ada@example.com", status: "invited", groups: ["core"] });
  const twice = await app.rest("POST /members", { email: "ada@example.com", name: "Ada", role: "operator" });
  expect(twice.body["code"]).toBe("conflict");
  expect((await app.rest("POST /members", { email: "no", name: "No", role: "operator" })).body["code"]).toBe(
    "invalid_input",
  );
  await app.rest("POST /agents", { name: "adas", type: "codex", owner: "ada@example.com" });
  const listed = await app.rest("GET /members", { group: "core" });
  expect(at(listed.body, "items")).toMatchObject([{ name: "Ada", agentCount: 1, apiKeyCount: 0 }]);
  const changed = await app.rest("PATCH /members/ada@example.com", { role: "auditor", groups: [] });
  expect(at(changed.body, "member")).toMatchObject({ role: "auditor", groups: [], version: 2 });
  expect((await app.rest("PATCH /members/nobody@example.com", { name: "x" })).body["code"]).toBe("not_found");
  await expectEvent(app, { action: "member.invite", resourceId: textAt(invited.body, "member", "id") });
  await expectEvent(app, { action: "member.update", resourceId: textAt(invited.body, "member", "id") });
});

test("says when members last used a key, also after a restart", async () => {
  const startedAt = new Date().toISOString();
  const lastActive = async () => {
    const items = Object((await app.rest("GET /members")).body["items"]);
    return new Map<string, string | null>(
      Array.from(items, (item) => [textAt(item, "email"), Object(item).lastActiveAt]),
    );
  };
  await app.rest("POST /members", { email: "grace@example.com", name: "Grace", role: "operator" });
  const made = await app.rest("POST /api-keys", { name: "graces", role: "operator", member: "grace@example.com" });
  const before = await lastActive();
  expect(before.get("grace@example.com")).toBeNull();
  expect(before.get("owner@localhost")?.localeCompare(startedAt)).toBe(1);
  await app.rest("GET /organization", undefined, textAt(made.body, "secret"));
  const gracesUse = (await lastActive()).get("grace@example.com");
  expect(gracesUse?.localeCompare(startedAt)).toBe(1);
  await app.restart();
  expect((await lastActive()).get("grace@example.com")).toBe(gracesUse);
  const changed = await app.rest("PATCH /members/grace@example.com", { name: "Grace H" });
  expect(at(changed.body, "member", "lastActiveAt")).toBe(gracesUse);
});

test("the last owner stays an owner", async () => {
  const reply = await app.rest("PATCH /members/owner@localhost", { role: "member" });
  expect(reply.body["code"]).toBe("conflict");
});

test("lists groups with what belongs to them", async () => {
  await app.rest("POST /agents", { name: "grouped", type: "codex", groups: ["blue"] });
  const { body } = await app.rest("GET /groups", { query: "blue" });
  expect(at(body, "items")).toMatchObject([{ name: "blue", agentCount: 1, serverCount: 0, memberCount: 0 }]);
});

test("says what needs attention, and the operation that shows it", async () => {
  await app.rest("POST /servers", {
    name: "down",
    transport: "streamable-http",
    url: "http://127.0.0.1:1/mcp",
    allowPrivateNetwork: true,
  });
  const { body } = await app.rest("GET /organization");
  const problems = at(body, "posture", "problems");
  const codes = Array.isArray(problems) ? problems.map((problem) => at(problem, "code")) : [];
  expect(codes).toEqual(["server_unreachable", "agents_without_owner", "audit_not_anchored"]);
  expect(at(body, "posture", "score")).toBe(74);
});

test("the operation of a server's problem lists those that it counts", async () => {
  const locked = await startLegacyServer({ authorization: "Bearer upstream-secret-token-1" });
  onTestFinished(() => locked.close());
  const remote = { transport: "streamable-http", allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "locked", url: `${locked.origin}/mcp`, ...remote });
  const web = await listen((_request, response) => response.end("a page"));
  onTestFinished(() => web.close());
  await app.rest("POST /servers", { name: "page", url: web.origin, ...remote });
  const { body } = await app.rest("GET /organization");
  for (const [code, names] of [
    ["server_unreachable", ["down"]],
    ["server_unauthorized", ["locked"]],
    ["server_not_mcp", ["page"]],
  ] as const) {
    const problems = at(body, "posture", "problems");
    const problem: unknown = Array.isArray(problems) ? problems.find((one) => at(one, "code") === code) : undefined;
    expect(problem).toMatchObject({ count: names.length, operation: { tool: "list_mcp_servers" } });
    const listed = await app.rest("GET /servers", at(problem, "operation", "arguments"));
    expect(at(listed.body, "items")).toMatchObject(names.map((name) => ({ name })));
  }
});
