import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, afterEach, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer } from "../harness/cli.ts";

let app: TestApp;
let upstream: RunningServer;
let folder: string;

beforeAll(async () => {
  upstream = await startLegacyServer();
});

afterAll(() => upstream.close());

beforeEach(async () => {
  app = await startTestApp();
  folder = mkdtempSync(join(tmpdir(), "runlayer-configuration-"));
});

afterEach(async () => {
  await app.close();
  rmSync(folder, { recursive: true, force: true });
});

const apply = (configuration: object, more: object = {}, key?: string) =>
  app.rest("POST /configuration", { configuration, ...more }, key);

const server = () => ({
  name: "files",
  transport: "streamable-http",
  url: `${upstream.origin}/mcp`,
  allowPrivateNetwork: true,
  groups: ["backends"],
});

const everything = () => ({
  settings: { auditPayloads: "digest", timeZone: "Europe/Berlin" },
  groups: ["approved-developers"],
  servers: [server()],
  agents: [{ name: "builder", type: "claude-code", servers: ["files"], groups: ["builders"] }],
  policies: [
    {
      name: "developers-only",
      effect: "deny",
      principals: { everyone: true, except: { groups: ["approved-developers"] } },
      resources: { servers: ["files"] },
    },
    {
      name: "no-deletes",
      cedar: 'forbid (principal, action == Runlayer::Action::"call_tool", resource);',
      mode: "monitor",
    },
  ],
});

const actionsOf = (body: unknown) => {
  const changes = at(body, "changes");
  return (Array.isArray(changes) ? changes : []).map((change) => [
    at(change, "action"),
    at(change, "kind"),
    at(change, "name"),
  ]);
};

test("makes everything in one transaction with an event each, and nothing the second time", async () => {
  const planned = await apply(everything(), { dryRun: true });
  expect(planned.status).toBe(200);
  expect(actionsOf(planned.body).slice(1)).toEqual([
    ["create", "server", "files"],
    ["create", "agent", "builder"],
    ["create", "policy", "developers-only"],
    ["create", "policy", "no-deletes"],
  ]);
  expect(planned.body["keys"]).toBeUndefined();
  expect((await app.rest("GET /servers")).body["total"]).toBe(0);
  const made = await apply(everything());
  expect(made.status).toBe(200);
  expect(at(made.body, "changes", 0)).toMatchObject({
    kind: "settings",
    diff: [
      { field: "auditPayloads", before: "redacted", after: "digest" },
      { field: "timeZone", before: "UTC", after: "Europe/Berlin" },
    ],
  });
  expect(at(made.body, "changes", 3, "impact")).toMatchObject({ newlyDenied: 0, replayed: 0 });
  // The key and the rule both hold at once.
  const connected = app.agentClient("files", textAt(made.body, "keys", "builder"));
  await expect(connected).rejects.toThrow(/developers-only/);
  const created = await app.rest("GET /audit-events", { action: "server.create" });
  const correlationId = textAt(created.body, "items", 0, "correlationId");
  const events = await app.rest("GET /audit-events", { correlationId });
  const items = events.body["items"];
  expect((Array.isArray(items) ? items : []).map((event) => at(event, "action"))).toEqual([
    "group.create",
    "organization.update",
    "group.create",
    "server.create",
    "group.create",
    "key.create",
    "agent.create",
    "policy.create",
    "policy.create",
  ]);
  const again = await apply(everything());
  expect(again.body).toEqual({ changes: [], unchanged: 5 });
  expect((await app.rest("GET /groups", { query: "approved-developers" })).body["total"]).toBe(1);
});

test("changes what differs and leaves what is not named", async () => {
  await apply(everything());
  const changed = {
    servers: [{ ...server(), description: "All files" }],
    agents: [{ name: "builder", status: "suspended" }],
    policies: [{ ...everything().policies[0], mode: "monitor", actions: ["call_tool"] }],
  };
  const reply = await apply(changed);
  expect(reply.body["changes"]).toMatchObject([
    { action: "update", kind: "server", diff: [{ field: "description", before: null, after: "All files" }] },
    { action: "update", kind: "agent", diff: [{ field: "status", before: "active", after: "suspended" }] },
    { action: "update", kind: "policy", diff: [{ field: "mode" }, { field: "actions", after: ["call_tool"] }] },
  ]);
  expect(at((await app.rest("GET /agents/builder")).body, "agent", "servers", 0, "server", "name")).toBe("files");
  expect(at((await app.rest("GET /policies/developers-only")).body, "policy")).toMatchObject({
    mode: "monitor",
    version: 2,
  });
  expect((await apply(changed)).body).toEqual({ changes: [], unchanged: 3 });
});

test("a change of a policy shows the parts that change, and not those that stay empty", async () => {
  const text = { name: "text", cedar: "forbid (principal, action, resource) when { false };" };
  const rule = { name: "rule", effect: "deny", principals: { everyone: true }, resources: { tools: ["a"] } };
  await apply({ policies: [text, rule] });
  const otherText = { ...text, effect: "deny", cedar: "forbid (principal, action, resource) when { 1 == 2 };" };
  const changed = [otherText, { ...rule, effect: "require_approval" }];
  expect((await apply({ policies: changed }, { dryRun: true })).body["changes"]).toMatchObject([
    { diff: [{ field: "cedar" }] },
    { diff: [{ field: "effect" }, { field: "actions", before: ["any"], after: ["call_tool", "run_skill"] }] },
  ]);
  const spelled = [text, { ...rule, actions: ["any"], conditions: [] }];
  expect((await apply({ policies: spelled })).body).toEqual({ changes: [], unchanged: 2 });
});

test("a field that is `null` is cleared once, and left out of what is new", async () => {
  const cleared = { description: null, owner: null, groups: null };
  const endpoint = { credential: null, headers: null, shareable: null };
  const rule = { description: null, audit: null, expiresAt: null, actions: null, conditions: null };
  const { servers, agents, policies } = everything();
  const configuration = {
    servers: [{ ...servers[0], ...cleared, ...endpoint }],
    agents: [{ ...agents[0], ...cleared, skills: null }],
    policies: [{ ...policies[0], ...rule }],
  };
  expect(actionsOf((await apply(configuration)).body).map(([action]) => action)).toEqual([
    "create",
    "create",
    "create",
  ]);
  expect((await apply(configuration)).body).toEqual({ changes: [], unchanged: 3 });
  await apply({ servers: [{ name: "files", groups: ["backends"] }], agents: [{ name: "builder", groups: ["staff"] }] });
  expect((await apply(configuration)).body["changes"]).toMatchObject([
    { name: "files", diff: [{ field: "groups", after: [] }] },
    { name: "builder", diff: [{ field: "groups", after: [] }] },
  ]);
  expect((await apply(configuration)).body).toEqual({ changes: [], unchanged: 3 });
  expect((await apply({ agents: [{ name: "other", type: null }] })).body["code"]).toBe("invalid_input");
});

test("is all or nothing", async () => {
  const broken = { ...everything(), agents: [{ name: "builder", type: "claude-code", servers: ["nowhere"] }] };
  const reply = await apply(broken);
  expect(reply.body).toMatchObject({ code: "not_found", details: { kind: "agent", name: "builder" } });
  expect((await app.rest("GET /servers")).body["total"]).toBe(0);
  expect((await app.rest("GET /audit-events", { action: "server." })).body["total"]).toBe(0);
});

test("prunes only when told and confirmed, and only kinds that it names", async () => {
  await apply(everything());
  const less = { policies: [], servers: [server()] };
  expect((await apply(less)).body).toEqual({ changes: [], unchanged: 1 });
  const asked = await apply(less, { prune: true });
  expect(asked.body["code"]).toBe("confirmation_required");
  expect(asked.body["details"]).toMatchObject({ impact: { changes: [{ action: "delete" }, { action: "delete" }] } });
  expect((await app.rest("GET /policies")).body["total"]).toBe(2);
  const done = await apply(less, { prune: true, confirm: true });
  expect(actionsOf(done.body).map(([action, kind]) => [action, kind])).toEqual([
    ["delete", "policy"],
    ["delete", "policy"],
  ]);
  expect((await app.rest("GET /policies")).body["total"]).toBe(0);
  expect((await app.rest("GET /agents")).body["total"]).toBe(1);
});

test("each change is checked by the caller's role and the escalation rules", async () => {
  const make = async (role: string) =>
    textAt((await app.rest("POST /api-keys", { name: `as-${role}`, role })).body, "secret");
  const operator = await make("operator");
  const { policies, servers, settings } = everything();
  expect((await apply({ policies }, {}, operator)).body["code"]).toBe("forbidden");
  expect((await apply({ settings }, {}, operator)).body["code"]).toBe("forbidden");
  expect((await apply({ servers }, {}, operator)).body["code"]).toBe("forbidden");
  expect((await apply({ servers }, {}, await make("security"))).body["code"]).toBe("forbidden");
  expect((await apply({ servers }, {}, await make("auditor"))).body["code"]).toBe("forbidden");
  expect((await app.rest("GET /servers")).body["total"]).toBe(0);
  // A group that a policy names is for guardians to give.
  await apply(everything());
  const joins = { agents: [{ name: "builder", groups: ["approved-developers"] }] };
  expect((await apply(joins, {}, operator)).body["code"]).toBe("forbidden");
});

const BAD: readonly (readonly [string, object])[] = [
  ["a reference", { servers: [{ name: "x", credential: { type: "bearer", token: { $env: "HOME" } } }] }],
  ["a deep reference", { policies: [{ name: "x", conditions: [{ value: { $file: "/etc/passwd" } }] }] }],
  ["a name twice", { agents: [{ name: "x" }, { name: "x" }] }],
  ["an unknown kind", { sorvers: [] }],
  ["an unknown field", { agents: [{ name: "x", type: "y", odd: 1 }] }],
  ["an unknown setting", { settings: { odd: 1 } }],
  ["policies on an agent", { agents: [{ name: "x", type: "y", policies: ["p"] }] }],
];

test("refuses what is no configuration, and says so", async () => {
  for (const [what, configuration] of BAD)
    expect([what, (await apply(configuration)).body["code"]]).toEqual([what, "invalid_input"]);
});

test("a deny of everything needs confirmation", async () => {
  await apply(everything());
  const policies = [{ name: "stop", effect: "deny", principals: { everyone: true }, resources: { everything: true } }];
  expect((await apply({ policies })).body["code"]).toBe("confirmation_required");
  expect((await apply({ policies }, { confirm: true })).status).toBe(200);
});

const run = (args: readonly string[], more: Record<string, string> = {}) =>
  runlayer(args, { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey, ...more });

test("applies a folder of files with secrets from where it runs, and exports what it made", async () => {
  const yaml = `
servers:
  - name: files
    transport: streamable-http
    url: ${upstream.origin}/mcp
    allowPrivateNetwork: true
    credential: { type: bearer, token: { $env: FILES_TOKEN } }
    headers: { X-Team: { $file: team.txt } }
agents:
  - { name: builder, type: cursor, servers: [{ server: files, tools: ["tool-*"] }] }
policies:
  - { name: small, mode: monitor }
  - { name: plain, effect: allow, principals: { everyone: true }, resources: { tools: [get_*] } }
`;
  writeFileSync(join(folder, "all.yaml"), yaml);
  writeFileSync(join(folder, "team.txt"), "team-secret-7\n");
  mkdirSync(join(folder, "policies"));
  writeFileSync(join(folder, "policies", "small.cedar"), "forbid (principal, action, resource) when { false };");
  const missing = await run(["apply", "-f", folder]);
  expect([missing.exitCode, missing.err]).toEqual([2, expect.stringContaining("FILES_TOKEN")]);
  const env = { FILES_TOKEN: "very-secret-token-1" };
  const planned = await run(["apply", "-f", folder, "--dry-run", "--json"], env);
  expect(planned.exitCode).toBe(0);
  expect((await app.rest("GET /servers")).body["total"]).toBe(0);
  const applied = await run(["apply", "-f", folder, "--json"], env);
  expect(applied.exitCode).toBe(0);
  expect(actionsOf(JSON.parse(applied.out))).toHaveLength(4);
  expect(applied.out).not.toContain("very-secret");
  expect(JSON.parse((await run(["apply", "-f", folder, "--json"], env)).out)).toEqual({ changes: [], unchanged: 4 });
  const rotated = await run(["apply", "-f", folder, "--json"], { FILES_TOKEN: "very-secret-token-2" });
  expect(JSON.parse(rotated.out)).toMatchObject({ changes: [{ name: "files", diff: [{ field: "credential" }] }] });
  expect(rotated.out).not.toContain("very-secret");
  const file = join(folder, "export.yaml");
  expect(await run(["export", "-o", file])).toMatchObject({ exitCode: 0 });
  const exported = readFileSync(file, "utf8");
  expect(exported).toContain("$env: FILES_TOKEN");
  expect(exported).not.toMatch(/secret-t|team-secret/);
  expect([exported.match(/cedar:/g), exported.match(/principals:/g)]).toEqual([["cedar:"], ["principals:"]]);
  const secrets = { FILES_TOKEN: "very-secret-token-2", FILES_X_TEAM: "team-secret-7" };
  const back = await run(["apply", "-f", file, "--json"], secrets);
  expect(JSON.parse(back.out)).toMatchObject({ changes: [] });
});

test("shows people what would change, with values and without secrets, and that nothing did", async () => {
  const before = { policies: [everything().policies[1]], agents: [{ name: "gone", type: "cursor" }] };
  expect((await apply(before)).status).toBe(200);
  const configuration = {
    servers: [{ ...server(), credential: { type: "bearer", token: { $env: "FILES_TOKEN" } } }],
    agents: [],
    policies: [{ ...everything().policies[1], mode: "enforce" }],
  };
  writeFileSync(join(folder, "all.json"), JSON.stringify(configuration));
  const args = ["apply", "-f", folder, "--prune", "--confirm"];
  const env = { FILES_TOKEN: "very-secret-token-1" };
  const planned = await run([...args, "--dry-run"], env);
  expect(planned.err).toBe("dry run: nothing was changed\n");
  for (const part of [
    "would create server files\n",
    `  url: ${upstream.origin}/mcp\n`,
    "  credential: (a secret, not shown)\n",
    "would update policy no-deletes\n  mode:\n    before: monitor\n    after: enforce\n",
    "would delete agent gone\n",
  ])
    expect(planned.out).toContain(part);
  expect(planned.out).not.toContain("very-secret");
  expect((await app.rest("GET /agents")).body["total"]).toBe(1);
  const applied = await run(args, env);
  expect(applied).toMatchObject({ exitCode: 0, err: "", out: expect.stringContaining("deleted agent gone\n") });
});

test("takes references in headers, variables and arguments, and what is no secret in clear", async () => {
  const yaml = `
servers:
  - name: by-command
    transport: stdio
    command: node
    args: [--path, /srv/data, --token, { $env: ARG_TOKEN }, --key, /etc/keys/one.pem]
    env: { LOG: debug, SERVICE_TOKEN: { $file: token.txt }, GOOGLE_APPLICATION_CREDENTIALS: /etc/google.json }
  - name: by-address
    transport: streamable-http
    url: ${upstream.origin}/mcp
    allowPrivateNetwork: true
    headers: { X-Team: payments, Authorization: { $env: TEAM_HEADER } }
`;
  writeFileSync(join(folder, "all.yaml"), yaml);
  writeFileSync(join(folder, "token.txt"), "token-of-a-file\n");
  const env = { ARG_TOKEN: "token-of-an-argument", TEAM_HEADER: "Bearer token-of-a-header" };
  const applied = await run(["apply", "-f", join(folder, "all.yaml"), "--json"], env);
  expect(applied).toMatchObject({ exitCode: 0, err: "" });
  expect(applied.out).not.toContain("token-of");
  const again = await run(["apply", "-f", join(folder, "all.yaml"), "--json"], env);
  expect(JSON.parse(again.out)).toEqual({ changes: [], unchanged: 2 });
  const { body } = await app.rest("GET /servers/by-command");
  expect(at(body, "server", "args")).toEqual(["--path", "/srv/data", "--token", "********", "--key", "********"]);
});

test("a new address goes together with its fixed headers", async () => {
  const headers = { "X-Team": "payments" };
  expect((await apply({ servers: [{ ...server(), headers }] })).status).toBe(200);
  const moved = { ...server(), headers, url: `${upstream.origin}/mcp?moved=1` };
  const reply = await apply({ servers: [moved] });
  expect(reply).toMatchObject({ status: 200, body: { changes: [{ action: "update", name: "files" }] } });
});

test("refuses files that hold secrets in clear, are no YAML, or say a thing twice", async () => {
  const refused = async (name: string, text: string, expected: string) => {
    const file = join(folder, name);
    writeFileSync(file, text);
    const { exitCode, err } = await run(["apply", "-f", file]);
    expect([exitCode, err]).toEqual([2, expect.stringContaining(expected)]);
    rmSync(file);
  };
  await refused("a.yaml", "servers: [{ name: x, credential: { type: bearer, token: clear } }]", "in clear");
  await refused("b.json", '{"servers": [', "b.json");
  await refused("c.yaml", "servers: []\nservers: []", "c.yaml");
  await refused("d.yaml", "sorvers: []", "sorvers");
  await refused("e.yaml", "agents: [{ type: x }]", "agents.0.name");
  const nothing = await run(["apply", "-f", join(folder, "nothing.yaml")]);
  expect(nothing.exitCode).toBe(2);
});
