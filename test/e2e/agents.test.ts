import { afterAll, beforeAll, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;

beforeAll(async () => {
  app = await startTestApp();
  for (const name of ["github", "files"]) {
    await app.rest("POST /servers", { name, transport: "streamable-http", url: `https://${name}.example.com/mcp` });
  }
});

afterAll(() => app.close());

test("registers an agent, shows its key once and a configuration to paste", async () => {
  const { body, status } = await app.rest("POST /agents", {
    name: "writer",
    type: "claude-code",
    servers: ["github", { server: "files", tools: ["read_*"] }],
    groups: ["docs"],
  });
  expect(status).toBe(200);
  const key = textAt(body, "key");
  expect(key).toMatch(/^rl_agent_[a-z2-7]{39}$/);
  expect(at(body, "connection", "servers", "github")).toBe(`${app.url}/gateway/github/mcp`);
  const config: unknown = JSON.parse(textAt(body, "connection", "config"));
  expect(at(config, "mcpServers", "files", "headers", "Authorization")).toBe(`Bearer ${key}`);
  // With one list given, an omitted one means none.
  expect(at(body, "agent", "servers", 1)).toMatchObject({ tools: ["read_*"], resources: [], prompts: [] });
  expect(at(body, "agent", "servers", 0)).not.toHaveProperty("tools");
  const event = await expectEvent(app, { action: "agent.create", resourceId: textAt(body, "agent", "id") });
  expect(JSON.stringify(event)).not.toContain(key);
  const got = await app.rest("GET /agents/writer");
  expect(JSON.stringify(got.body)).not.toContain(key);
  expect(textAt(got.body, "agent", "key", "hint")).toContain(key.slice(-4));
});

test("`null` takes servers, groups and policies away", async () => {
  const fields = { type: "custom", servers: ["github"], groups: ["docs"] };
  await app.rest("POST /agents", { name: "cleared", ...fields });
  const rule = {
    effect: "deny",
    principals: { agents: ["cleared"], roles: ["auditor"] },
    resources: { tools: ["none"] },
  };
  await app.rest("POST /policies", { name: "on-cleared", ...rule });
  const { body } = await app.rest("PATCH /agents/cleared", { servers: null, groups: null, policies: null });
  expect(at(body, "agent")).toMatchObject({ servers: [], groups: [], policies: [] });
});

test.each(["claude-desktop", "cursor", "vscode-copilot", "windsurf", "codex", "gemini-cli", "openclaw", "my-own"])(
  "gives %s a configuration with its URL and key",
  async (type) => {
    const { body } = await app.rest("POST /agents", { name: `for-${type}`, type, servers: ["github"] });
    const config = textAt(body, "connection", "config");
    expect(config).toContain(`${app.url}/gateway/github/mcp`);
    expect(config).toContain(textAt(body, "key"));
  },
);

test("a client that starts commands gets none that fetches a package, and the way to the real one", async () => {
  const { body } = await app.rest("POST /agents", { name: "desktop", type: "claude-desktop", servers: ["github"] });
  const entry = at(JSON.parse(textAt(body, "connection", "config")), "mcpServers", "github");
  expect(entry).toMatchObject({
    command: "node",
    args: ["/path/to/runlayer/bin/runlayer.js", "stdio", "--url", `${app.url}/gateway/github/mcp`],
  });
  const instructions = textAt(body, "connection", "instructions");
  expect(instructions).toContain("/path/to/runlayer/bin/runlayer.js");
  expect(instructions).toContain("connect claude-desktop --agent desktop");
  expect(instructions).not.toContain(textAt(body, "key"));
  const plain = await app.rest("POST /agents", { name: "plain", type: "cursor", servers: ["github"] });
  expect(at(plain.body, "connection")).not.toHaveProperty("instructions");
});

test("a repeated creation leaves the key out and says so", async () => {
  const input = { name: "repeated", type: "codex", servers: ["github"], idempotencyKey: "once" };
  const first = await app.rest("POST /agents", input);
  const second = await app.rest("POST /agents", input);
  expect(textAt(first.body, "key")).toMatch(/^rl_agent_/);
  // All that is no secret is there again.
  const { url, servers, configPath } = Object(first.body["connection"]);
  expect(servers).toHaveProperty("github");
  const connection = { url, servers, configPath };
  expect(second.body).toEqual({ agent: first.body["agent"], connection, secretOmitted: true });
  expect(JSON.stringify(second.body)).not.toContain(textAt(first.body, "key"));
});

test.each([
  ["a taken name", { name: "taken", type: "codex" }, "conflict"],
  ["an unknown server", { name: "a-1", type: "codex", servers: ["nowhere"] }, "not_found"],
  ["an unknown owner", { name: "a-2", type: "codex", owner: "nobody@example.com" }, "not_found"],
  ["a type that is no word", { name: "a-3", type: "My Agent" }, "invalid_input"],
  ["an unknown field", { name: "a-4", type: "codex", colour: "red" }, "invalid_input"],
  ["a name like a UUID", { name: "01a20421-ef74-7a60-9f07-d9443af065bc", type: "codex" }, "invalid_input"],
])("refuses %s and changes nothing", async (_what, input, code) => {
  if (code === "conflict") await app.rest("POST /agents", input);
  const before = await app.rest("GET /agents");
  const reply = await app.rest("POST /agents", input);
  expect(reply.body["code"]).toBe(code);
  expect((await app.rest("GET /agents")).body["total"]).toBe(before.body["total"]);
});

test("changes the assignment and says what was gained and lost", async () => {
  await app.rest("POST /agents", { name: "moving", type: "codex", servers: ["github"] });
  const changed = await app.rest("PATCH /agents/moving", { addServers: ["files"], removeServers: ["github"] });
  expect(at(changed.body, "accessDiff")).toMatchObject({ gained: [{ name: "files" }], lost: [{ name: "github" }] });
  const limited = await app.rest("PATCH /agents/moving", { addServers: [{ server: "files", tools: ["read"] }] });
  expect(at(limited.body, "accessDiff", "changed")).toMatchObject([{ name: "files" }]);
  await app.rest("PATCH /agents/moving", { status: "suspended", expectedVersion: 3 });
  expect(at((await app.rest("GET /agents/moving")).body, "agent", "status")).toBe("suspended");
  expect((await app.rest("PATCH /agents/moving", { name: "late", expectedVersion: 3 })).body["code"]).toBe("conflict");
});

test("a rotated key works, the old one stops", async () => {
  const made = await app.rest("POST /agents", { name: "rotating", type: "codex", servers: ["github"] });
  const rotated = await app.rest("PATCH /agents/rotating", { rotateKey: true });
  expect(textAt(rotated.body, "key")).not.toBe(textAt(made.body, "key"));
  const keys = await app.rest("GET /api-keys", { kind: "agent", limit: 200 });
  const items = at(keys.body, "items");
  const own = Array.isArray(items) ? items.filter((item) => at(item, "agent", "name") === "rotating") : [];
  expect(own.map((item) => at(item, "status"))).toEqual(["revoked", "active"]);
  const old = await fetch(`${app.url}/gateway/github/mcp`, {
    method: "POST",
    headers: { authorization: `Bearer ${textAt(made.body, "key")}` },
    body: "{}",
  });
  expect(old.status).toBe(401);
});

test("deletes after confirmation, revokes the keys and keeps the history", async () => {
  const made = await app.rest("POST /agents", { name: "leaving", type: "codex" });
  const id = textAt(made.body, "agent", "id");
  const asked = await app.rest("DELETE /agents/leaving");
  expect(asked.body["code"]).toBe("confirmation_required");
  expect(at(asked.body, "details", "impact", "keysRevoked")).toBe(1);
  await app.rest("DELETE /agents/leaving", { confirm: true });
  expect((await app.rest("GET /agents/leaving")).body["code"]).toBe("not_found");
  const history = await app.rest("GET /audit-events", { agent: id });
  const own = { kind: "agent", agent: { id, name: "leaving" } };
  expect(at(history.body, "items")).toMatchObject([
    { action: "key.create", resource: { type: "apiKey" }, details: own },
    { action: "agent.create" },
    { action: "key.revoke", resource: { type: "apiKey" }, details: { ...own, reason: "agent deleted" } },
    { action: "agent.delete" },
  ]);
});

test("records the keys that a rotation ends and makes, without the key itself", async () => {
  const made = await app.rest("POST /agents", { name: "renewing", type: "codex" });
  const rotated = await app.rest("PATCH /agents/renewing", { rotateKey: true });
  await app.rest("PATCH /agents/renewing", { rotateKey: true, dryRun: true });
  const [first, second] = [made, rotated].map(({ body }) => at(body, "agent", "key", "id"));
  const { body } = await app.rest("GET /audit-events", { agent: "renewing", resourceType: "apiKey" });
  expect(at(body, "items")).toMatchObject([
    { action: "key.create", resource: { id: first } },
    { action: "key.revoke", resource: { id: first }, details: { reason: "rotated" } },
    { action: "key.create", resource: { id: second } },
  ]);
  for (const answer of [made, rotated]) expect(JSON.stringify(body)).not.toContain(textAt(answer.body, "key"));
});

test("nobody without a key gets in", async () => {
  for (const key of [
    "",
    "rl_org_wrong",
    textAt((await app.rest("POST /agents", { name: "kind", type: "codex" })).body, "key"),
  ]) {
    const reply = await app.rest("GET /agents", undefined, key);
    expect([reply.status, reply.body["code"]]).toEqual([401, "unauthenticated"]);
  }
  const failures = await app.rest("GET /audit-events", { action: "auth.failure" });
  expect(Number(failures.body["total"])).toBeGreaterThan(0);
});
