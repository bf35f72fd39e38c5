import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify as toToml } from "smol-toml";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer } from "../harness/cli.ts";
import { makeClientHome, type ClientHome } from "./client-home.ts";
import { startCodex } from "./codex-app-server.ts";

/* Real clients, as installed by `.ci/clients.sh`: each as an administrator on /mcp and as an agent on the gateway. */

let app: TestApp;
let upstream: RunningServer;
let place: ClientHome;
let agentKey: string;

beforeAll(async () => {
  place = makeClientHome();
  app = await startTestApp();
  upstream = await startLegacyServer();
  const url = `${upstream.origin}/mcp`;
  await app.rest("POST /servers", { name: "sample", transport: "streamable-http", url, allowPrivateNetwork: true });
  const servers = [{ server: "sample", tools: ["tool-0", "tool-1"] }];
  const { body } = await app.rest("POST /agents", { name: "real-client", type: "codex", servers });
  agentKey = textAt(body, "key");
});

afterAll(async () => {
  await app.close();
  await upstream.close();
  place.remove();
});

const managementUrl = (): string => `${app.url}/mcp`;
const gatewayUrl = (): string => `${app.url}/gateway/sample/mcp`;
const bearer = (key: string): string => `Authorization: Bearer ${key}`;

/** A server that an administrator's client creates; nobody answers there, which is registered all the same. */
const newServer = (name: string) => ({ name, transport: "streamable-http", url: "http://127.0.0.1:9/mcp" });

async function inspect(url: string, key: string, args: readonly string[]): Promise<unknown> {
  const target = ["--cli", url, "--transport", "http", "--header", bearer(key)];
  const run = await place.run("mcp-inspector", [...target, ...args]);
  expect(run).toMatchObject({ code: 0 });
  // What it remarks on the schemas follows the answer.
  return JSON.parse(run.said.slice(run.said.indexOf("{"), run.said.lastIndexOf("\n}") + 2));
}

async function inspectTool(url: string, key: string, call: { tool: string; args: object }): Promise<unknown> {
  const pairs = Object.entries(call.args).flatMap(([name, value]) => ["--tool-arg", `${name}=${String(value)}`]);
  return inspect(url, key, ["--method", "tools/call", "--tool-name", call.tool, ...pairs]);
}

const names = (answer: unknown): string[] => {
  const tools = at(answer, "tools");
  return Array.isArray(tools) ? tools.map((tool: unknown) => textAt(tool, "name")) : [];
};

test("mcp-inspector lists the management tools, creates a server and reads it", async () => {
  const listed = await inspect(managementUrl(), app.ownerKey, ["--method", "tools/list"]);
  expect(names(listed)).toContain("create_mcp_server");
  const args = { ...newServer("by-inspector"), allowPrivateNetwork: true };
  await inspectTool(managementUrl(), app.ownerKey, { tool: "create_mcp_server", args });
  const read = await inspectTool(managementUrl(), app.ownerKey, {
    tool: "get_mcp_server",
    args: { id: "by-inspector" },
  });
  expect(at(read, "structuredContent", "server", "name")).toBe("by-inspector");
});

test("mcp-inspector sees and calls what its agent may use", async () => {
  expect(names(await inspect(gatewayUrl(), agentKey, ["--method", "tools/list"]))).toEqual(["tool-0", "tool-1"]);
  const answer = await inspectTool(gatewayUrl(), agentKey, { tool: "tool-0", args: { text: "hello" } });
  expect(textAt(answer, "content", 0, "text")).toContain("hello");
});

test("codex creates and reads a server, and calls as an agent what it may and what it may not", async () => {
  const config = join(place.home, ".codex/config.toml");
  mkdirSync(join(place.home, ".codex"));
  const http_headers = { Authorization: `Bearer ${app.ownerKey}` };
  writeFileSync(config, toToml({ mcp_servers: { runlayer: { url: managementUrl(), http_headers } } }));
  await connect("codex");
  const codex = await startCodex(place);
  try {
    await codex.callTool("runlayer", "create_mcp_server", { ...newServer("by-codex"), allowPrivateNetwork: true });
    const read = await codex.callTool("runlayer", "get_mcp_server", { id: "by-codex" });
    expect(at(read, "result", "structuredContent", "server", "name")).toBe("by-codex");
    const answer = await codex.callTool("sample", "tool-1", { text: "hello" });
    expect(textAt(answer, "result", "content", 0, "text")).toContain("hello");
    const refused = await codex.callTool("sample", "tool-2", {});
    expect(at(refused, "error", "code")).toBe(-32011);
    expect(at(refused, "error", "data", "reason")).toBe("not_assigned");
  } finally {
    await codex.close();
  }
});

test("claude-code connects to both", async () => {
  await add("claude", ["mcp", "add", "--transport", "http"], "--header");
  const list = await place.run("claude", ["mcp", "list"]);
  expect(list.code).toBe(0);
  expectConnected(list.said, [managementUrl(), gatewayUrl()]);
});

test("gemini-cli connects to both, and with what `runlayer connect` writes", async () => {
  await add("gemini", ["mcp", "add", "--scope", "user", "--transport", "http"], "--header");
  const list = await place.run("gemini", ["mcp", "list"]);
  expect(list.code).toBe(0);
  expectConnected(list.said, [managementUrl(), gatewayUrl()]);
  const settings = join(place.home, ".gemini/settings.json");
  rmSync(settings);
  await connect("gemini-cli");
  expect(readFileSync(settings, "utf8")).toContain("httpUrl");
  expectConnected((await place.run("gemini", ["mcp", "list"])).said, [gatewayUrl()]);
});

test("what they did is in the audit log under their names", async () => {
  const created = await app.rest("GET /audit-events", { action: "server.create", outcome: "success" });
  const resources = [0, 1, 2].map((index) => at(created.body, "items", index, "resource", "name"));
  expect(resources).toEqual(["sample", "by-inspector", "by-codex"]);
  const calls = await app.rest("GET /audit-events", { action: "tool.call", agent: "real-client" });
  expect(calls.body["total"]).toBe(3);
  expect([0, 1, 2].map((index) => at(calls.body, "items", index, "outcome"))).toEqual(["success", "success", "denied"]);
});

/** Adds both servers with the client's own command. */
async function add(program: string, args: readonly string[], headerFlag: string): Promise<void> {
  for (const [name, url, key] of [
    ["runlayer", managementUrl(), app.ownerKey],
    ["sample", gatewayUrl(), agentKey],
  ] as const) {
    expect(await place.run(program, [...args, name, url, headerFlag, bearer(key)])).toMatchObject({ code: 0 });
  }
}

async function connect(client: string): Promise<void> {
  const keyFile = join(place.home, "agent-key");
  writeFileSync(keyFile, agentKey);
  const env = { ...place.env, RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey };
  const run = await runlayer(["connect", client, "--agent", "real-client", "--key-file", keyFile, "--write"], env);
  expect(run).toMatchObject({ exitCode: 0 });
}

function expectConnected(said: string, urls: readonly string[]): void {
  const lines = said.split("\n").filter((line) => /(?<!Not |Dis)Connected/.test(line));
  expect(lines).toHaveLength(urls.length);
  for (const url of urls) expect(lines.filter((line) => line.includes(url))).toHaveLength(1);
}
