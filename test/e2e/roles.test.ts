import type { Client } from "@modelcontextprotocol/client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Role } from "../../src/domain/role.ts";
import { ROLES } from "../../src/domain/role.ts";
import { OPERATIONS } from "../../src/operations/index.ts";
import { buildCli, runCli, type CliSettings } from "../../src/surfaces/cli/build-cli.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/*
 * The role table of the contract, line by line for what exists: who may call an operation at all, on every face. Each new operation
 * adds its line here; one without a line fails.
 */
const READ_ALL: readonly Role[] = ["owner", "admin", "security", "operator", "auditor"];
const MAY_CALL: Readonly<Record<string, readonly Role[]>> = {
  get_organization: READ_ALL,
  list_members: READ_ALL,
  create_mcp_server: ["owner", "admin", "operator"],
  list_mcp_servers: READ_ALL,
  get_mcp_server: READ_ALL,
  update_mcp_server: ["owner", "admin", "security", "operator"],
  delete_mcp_server: ["owner", "admin", "operator"],
  create_agent: ["owner", "admin", "operator"],
  list_agents: [...READ_ALL, "member"],
  get_agent: [...READ_ALL, "member"],
  update_agent: ["owner", "admin", "security", "operator"],
  delete_agent: ["owner", "admin", "operator"],
  create_api_key: ["owner", "admin", "security"],
  list_api_keys: READ_ALL,
  revoke_api_key: ["owner", "admin", "security"],
  create_skill: ["owner", "admin", "operator"],
  list_skills: READ_ALL,
  get_skill: READ_ALL,
  update_skill: ["owner", "admin", "security", "operator"],
  run_skill: ["owner", "admin", "security", "operator"],
  delete_skill: ["owner", "admin", "operator"],
  get_audit_logs: [...READ_ALL, "member"],
  run_mcp_sweep_scan: ["owner", "admin", "security", "scanner"],
  get_scan_results: [...READ_ALL, "scanner"],
  update_finding: ["owner", "admin", "security"],
  list_devices: [...READ_ALL, "scanner"],
  enroll_device: ["owner", "admin", "security", "scanner"],
  submit_device_report: ["owner", "admin", "security", "scanner"],
  list_sessions: [...READ_ALL, "member"],
  end_session: ["owner", "admin", "security", "operator"],
  list_approvals: [...READ_ALL, "member"],
  decide_approval: ["owner", "admin", "security"],
  invite_member: ["owner", "admin"],
  update_member: ["owner", "admin"],
  list_groups: READ_ALL,
  update_organization: ["owner", "admin"],
  apply_configuration: ["owner", "admin", "security", "operator"],
  create_policy: ["owner", "admin", "security"],
  list_policies: READ_ALL,
  get_policy: READ_ALL,
  update_policy: ["owner", "admin", "security"],
  delete_policy: ["owner", "admin", "security"],
  simulate_policy: READ_ALL,
  explain_access: READ_ALL,
  list_access: READ_ALL,
};

let app: TestApp;
const keys = new Map<Role, string>();
const clients = new Map<Role, Client>();
const clis = new Map<Role, ReturnType<typeof createCli>>();

beforeAll(async () => {
  app = await startTestApp();
  for (const role of ROLES) {
    const { body } = await app.rest("POST /api-keys", { name: `as-${role}`, role });
    keys.set(role, textAt(body, "secret"));
    clients.set(role, await app.mcp(keyOf(role)));
    clis.set(role, createCli(role));
  }
});

afterAll(() => app.close());

function keyOf(role: Role): string {
  const key = keys.get(role);
  if (key === undefined) throw new Error(`no key for ${role}`);
  return key;
}

test("every operation has its line", () => {
  expect(OPERATIONS.map((operation) => operation.name).toSorted()).toEqual(Object.keys(MAY_CALL).toSorted());
});

// The input is empty or names nothing, so that an allowed call changes nothing: it fails later, and never with `forbidden`.
describe.each(OPERATIONS.map((operation) => [operation.name, operation] as const))("%s", (name, operation) => {
  const isAllowed = (role: Role): boolean => MAY_CALL[name]?.includes(role) ?? false;
  const route = operation.route.replace("{id}", "nothing-here");

  test.each(ROLES)("over REST as %s", async (role) => {
    const reply = await app.rest(route, {}, keyOf(role));
    expect(reply.body["code"] === "forbidden").toBe(!isAllowed(role));
  });

  test.each(ROLES)("over MCP as %s", async (role) => {
    const needsId = operation.route.includes("{id}");
    const result = await clients.get(role)?.callTool({ name, arguments: needsId ? { id: "nothing-here" } : {} });
    expect(at(result, "structuredContent", "error", "code") === "forbidden").toBe(!isAllowed(role));
  });

  test.each(ROLES)("over the CLI as %s", async (role) => {
    const { output } = await runCommand(operation.command, { role, route: operation.route });
    expect(output.includes("needs one of the roles")).toBe(!isAllowed(role));
  });
});

async function runCommand(command: string, { role, route }: { role: Role; route: string }) {
  const cli = clis.get(role);
  if (cli === undefined) throw new Error(`no CLI for ${role}`);
  const mandatory = MANDATORY[command] ?? [];
  const words = [...command.split(" "), ...(route.includes("{id}") ? ["nothing-here"] : []), ...mandatory];
  await runCli(cli.program, words, cli.settings);
  return { output: cli.printed.splice(0).join("") };
}

/** The CLI with the key of a role. It runs many commands: commander forgets the last one, and building all anew takes longer than a call. */
function createCli(role: Role) {
  const printed: string[] = [];
  const print = (text: string): void => void printed.push(text);
  const settings: CliSettings = {
    operations: OPERATIONS,
    version: "0",
    setExitCode: () => undefined,
    process: {
      env: { RUNLAYER_URL: app.url, RUNLAYER_API_KEY: keyOf(role) },
      print,
      printError: print,
      confirm: undefined,
    },
  };
  return { program: buildCli(settings), settings, printed };
}

/** What commander asks for before anything is sent; the values are refused by the server, after the role. */
const MANDATORY: Readonly<Record<string, readonly string[]>> = {
  "servers create": ["--name", "UPPER", "--transport", "sse"],
  "agents create": ["--name", "UPPER", "--type", "x"],
  "api-keys create": ["--name", "UPPER", "--role", "member"],
  "devices enroll": ["--name", "UPPER"],
  "configuration apply": ["--configuration", '{"odd":1}'],
  "approvals decide": ["--decision", "approve"],
  "policies create": ["--name", "UPPER"],
  "skills create": ["--name", "UPPER", "--description", "x"],
  "access explain": ["--agent", "nothing-here", "--server", "nothing-here", "--tool", "x"],
  "access list": ["--server", "nothing-here"],
  "members invite": ["--email", "x", "--name", "x", "--role", "member"],
};

describe("nobody escalates", () => {
  test.each([
    ["admin", "owner"],
    ["security", "owner"],
    ["security", "admin"],
    ["security", "operator"],
  ] as const)("%s grants no key with role %s", async (role, wanted) => {
    const reply = await app.rest("POST /api-keys", { name: `by-${role}-${wanted}`, role: wanted }, keyOf(role));
    expect(reply.body["code"]).toBe("forbidden");
  });

  test.each([
    ["admin", "as-owner"],
    ["security", "as-admin"],
    ["security", "as-operator"],
  ] as const)("%s does not revoke the key %s", async (role, key) => {
    const reply = await app.rest(`POST /api-keys/${key}/revoke`, { confirm: true }, keyOf(role));
    expect(reply.body["code"]).toBe("forbidden");
  });

  test("a key for a member goes no further than the member", async () => {
    await app.rest("POST /members", { email: "ada@example.com", name: "Ada", role: "auditor" });
    const reply = await app.rest("POST /api-keys", { name: "ada-admin", role: "admin", member: "ada@example.com" });
    expect(reply.body["code"]).toBe("forbidden");
  });

  test("an admin neither makes nor changes an owner", async () => {
    const invited = { email: "eve@example.com", name: "Eve", role: "owner" };
    expect((await app.rest("POST /members", invited, keyOf("admin"))).body["code"]).toBe("forbidden");
    const demoted = await app.rest("PATCH /members/owner@localhost", { role: "member" }, keyOf("admin"));
    expect(demoted.body["code"]).toBe("forbidden");
  });

  test("a suspended member's keys stop at once", async () => {
    await app.rest("POST /members", { email: "sue@example.com", name: "Sue", role: "auditor" });
    const made = await app.rest("POST /api-keys", { name: "sue-key", role: "auditor", member: "sue@example.com" });
    const key = textAt(made.body, "secret");
    expect((await app.rest("GET /organization", undefined, key)).status).toBe(200);
    await app.rest("PATCH /members/sue@example.com", { status: "suspended" });
    expect((await app.rest("GET /organization", undefined, key)).status).toBe(401);
  });
});

describe("fields that need more than the operation", () => {
  const server = { transport: "streamable-http", url: "https://mcp.example.com/mcp" };

  test.each([
    ["operator", { allowPrivateNetwork: true }],
    ["operator", { shareable: true }],
    ["operator", { status: "quarantined" }],
    ["operator", { approveToolChanges: true }],
    ["security", { name: "other" }],
    ["security", { url: "https://other.example.com/mcp" }],
    ["security", { credential: { type: "none" } }],
    ["operator", { transport: "stdio", command: "node" }],
  ] as const)("%s may not set %o on a server", async (role, change) => {
    await app.rest("POST /servers", { name: "guarded", ...server, dryRun: false });
    const reply = await app.rest("PATCH /servers/guarded", change, keyOf(role));
    expect(reply.body["code"]).toBe("forbidden");
  });

  test("an operator registers no stdio command and no private address", async () => {
    const stdio = { name: "local", transport: "stdio", command: "node" };
    expect((await app.rest("POST /servers", stdio, keyOf("operator"))).body["code"]).toBe("forbidden");
    const inside = { name: "inside", ...server, url: "http://10.0.0.1/mcp", allowPrivateNetwork: true };
    expect((await app.rest("POST /servers", inside, keyOf("operator"))).body["code"]).toBe("forbidden");
  });

  test("leave for private addresses holds for one address and one token endpoint", async () => {
    const inside = { allowPrivateNetwork: true, url: "http://127.0.0.1:1/mcp", transport: "streamable-http" };
    const oauth = (port: number) => ({
      type: "oauth-client-credentials",
      tokenUrl: `http://127.0.0.1:${port}/token`,
      clientId: "robot",
      clientSecret: "a-robots-secret",
    });
    await app.rest("POST /servers", { name: "inside-one", ...inside, credential: oauth(1) });
    const change = (more: object, role: Role) =>
      app.rest("PATCH /servers/inside-one", { force: true, ...more }, keyOf(role));
    const elsewhere = { url: "http://127.0.0.1:2/mcp", credential: oauth(1) };
    expect((await change(elsewhere, "operator")).body).toMatchObject({ code: "forbidden", details: { field: "url" } });
    const moved = await change({ credential: oauth(2) }, "operator");
    expect(moved.body).toMatchObject({ code: "forbidden", details: { field: "credential" } });
    expect((await change({ credential: oauth(1) }, "operator")).status).toBe(200);
    expect((await change({ credential: oauth(2) }, "admin")).status).toBe(200);
    // Without the leave there is nothing to take along.
    const outside = { url: server.url, credential: { type: "none" }, allowPrivateNetwork: false };
    expect((await change(outside, "operator")).body["code"]).toBe("forbidden");
    expect((await change(outside, "admin")).status).toBe(200);
    expect((await change({ url: "https://other.example.com/mcp" }, "operator")).status).toBe(200);
  });

  test("an operator replaces the variables of a stdio credential and adds none", async () => {
    const credential = (...names: string[]) => ({
      type: "env",
      values: Object.fromEntries(names.map((name) => [name, "value-of-a-variable"])),
    });
    const stdio = {
      name: "with-env",
      transport: "stdio",
      command: "node",
      credential: credential("API_TOKEN", "PATH"),
    };
    expect((await app.rest("POST /servers", stdio)).status).toBe(200);
    const change = (names: string[], role: Role) =>
      app.rest("PATCH /servers/with-env", { credential: credential(...names), force: true }, keyOf(role));
    expect((await change(["API_TOKEN"], "operator")).status).toBe(200);
    const added = await change(["API_TOKEN", "NODE_EXTRA_CA_CERTS"], "operator");
    expect(added.body).toMatchObject({ code: "forbidden", details: { field: "credential" } });
    expect((await change(["API_TOKEN", "PATH"], "admin")).status).toBe(200);
    expect((await change(["PATH"], "operator")).body["code"]).toBe("forbidden");
  });

  test("security quarantines and lifts, an operator does not lift", async () => {
    await app.rest("POST /servers", { name: "suspect", ...server });
    const quarantined = await app.rest("PATCH /servers/suspect", { status: "quarantined" }, keyOf("security"));
    expect(at(quarantined.body, "server", "status")).toBe("quarantined");
    const lifted = await app.rest("PATCH /servers/suspect", { status: "active" }, keyOf("operator"));
    expect(lifted.body["code"]).toBe("forbidden");
    expect((await app.rest("PATCH /servers/suspect", { status: "active" }, keyOf("security"))).status).toBe(200);
  });

  test("a member sees its own agents and events only", async () => {
    await app.rest("POST /members", { email: "mo@example.com", name: "Mo", role: "member" });
    const made = await app.rest("POST /api-keys", { name: "mo-key", role: "member", member: "mo@example.com" });
    const key = textAt(made.body, "secret");
    await app.rest("POST /agents", { name: "mos-agent", type: "cursor", owner: "mo@example.com" });
    await app.rest("POST /agents", { name: "anothers-agent", type: "cursor" });
    const listed = await app.rest("GET /agents", {}, key);
    expect(at(listed.body, "items")).toMatchObject([{ name: "mos-agent" }]);
    expect((await app.rest("GET /agents/anothers-agent", undefined, key)).body["code"]).toBe("not_found");
    const events = await app.rest("GET /audit-events", {}, key);
    expect(at(events.body, "items")).toMatchObject([
      { action: "key.create", details: { agent: { name: "mos-agent" } } },
      { action: "agent.create", resource: { name: "mos-agent" } },
    ]);
  });
});
