import { once } from "node:events";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { parse as parseToml, stringify as toToml } from "smol-toml";
import { z } from "zod";
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test } from "vitest";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { runlayer, type CliRun } from "../harness/cli.ts";
import { expectEvent } from "../harness/events.ts";

let app: TestApp;
let upstream: RunningServer;
let home: string;
let agents = 0;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  const url = `${upstream.origin}/mcp`;
  await app.rest("POST /servers", { name: "sample", transport: "streamable-http", url, allowPrivateNetwork: true });
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "runlayer-connect-"));
});

afterEach(() => rmSync(home, { recursive: true, force: true }));

async function newAgent(
  servers: readonly string[] = ["sample"],
): Promise<{ name: string; id: string; keyFile: string }> {
  agents += 1;
  const name = `agent-${agents}`;
  const { body } = await app.rest("POST /agents", { name, type: "cursor", servers });
  const keyFile = join(home, "key");
  writeFileSync(keyFile, `${textAt(body, "key")}\n`, { mode: 0o600 });
  return { name, id: textAt(body, "agent", "id"), keyFile };
}

function connect(args: readonly string[], more: Record<string, string> = {}): Promise<CliRun> {
  const env = { HOME: home, RUNLAYER_URL: app.url, RUNLAYER_API_KEY: app.ownerKey, ...more };
  return runlayer(["connect", ...args], env);
}

const gatewayUrl = (): string => `${app.url}/gateway/sample/mcp`;

/** Where each client keeps its servers, and how it names the URL; below the home folder. */
const FILES = [
  ["cursor", ".cursor/mcp.json", ["mcpServers", "sample", "url"]],
  ["windsurf", ".codeium/windsurf/mcp_config.json", ["mcpServers", "sample", "serverUrl"]],
  ["codex", ".codex/config.toml", ["mcp_servers", "sample", "url"]],
  ["gemini-cli", ".gemini/settings.json", ["mcpServers", "sample", "httpUrl"]],
  ["openclaw", ".openclaw/openclaw.json", ["mcp", "servers", "sample", "url"]],
] as const;

test("an empty variable names no folder", async () => {
  const { name, keyFile } = await newAgent();
  const empty = { CODEX_HOME: "", XDG_CONFIG_HOME: "" };
  const { exitCode } = await connect(["codex", "--agent", name, "--key-file", keyFile, "--write"], empty);
  expect([exitCode, existsSync(join(home, ".codex/config.toml"))]).toEqual([0, true]);
});

test.each(FILES)("writes %s's own file for its owner only, with a key that the gateway takes", async (...row) => {
  const [client, file, urlPath] = row;
  const { name, keyFile } = await newAgent();
  const run = await connect([client, "--agent", name, "--key-file", keyFile, "--write"]);
  expect(run).toMatchObject({ exitCode: 0, err: "" });
  const path = join(home, file);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const text = readFileSync(path, "utf8");
  const tree: unknown = client === "codex" ? parseToml(text) : JSON.parse(text);
  expect(at(tree, ...urlPath)).toBe(gatewayUrl());
  expect(run.out).not.toContain("rl_agent_");
  const key = /rl_agent_\w+/.exec(text)?.[0] ?? "";
  const agent = await app.agentClient("sample", key);
  expect((await agent.listTools()).tools.length).toBeGreaterThan(0);
});

test.each([
  ["claude-code", ["mcpServers", "sample", "type"], "http"],
  ["vscode-copilot", ["servers", "sample", "type"], "http"],
  ["my-own-client", ["mcpServers", "sample", "type"], "http"],
])("prints %s's configuration and says where it belongs", async (client, path, value) => {
  const { name, keyFile } = await newAgent();
  const run = await connect([client, "--agent", name, "--key-file", keyFile]);
  expect(run.exitCode).toBe(0);
  expect(at(JSON.parse(run.out), ...path)).toBe(value);
  expect(run.err).toContain(client === "vscode-copilot" ? ".vscode/mcp.json" : ".mcp.json");
  expect(readdirSync(home)).toEqual(["key"]);
});

const Launch = z.object({
  mcpServers: z.object({
    sample: z.object({ command: z.string(), args: z.array(z.string()), env: z.record(z.string(), z.string()) }),
  }),
});

test("gives Claude Desktop a command that really joins it to the server", async () => {
  const { name, keyFile } = await newAgent();
  const path = join(home, "desktop.json");
  await connect(["claude-desktop", "--agent", name, "--key-file", keyFile, "--path", path]);
  const { sample } = Launch.parse(JSON.parse(readFileSync(path, "utf8"))).mcpServers;
  const client = new Client({ name: "desktop", version: "1.0.0" });
  await client.connect(new StdioClientTransport({ ...sample, stderr: "pipe" }));
  expect((await client.listTools()).tools.map((tool) => tool.name)).toContain("tool-0");
  await client.close();
});

test("keeps what was in the file, and a copy of it as it was", async () => {
  const { name, keyFile } = await newAgent();
  const path = join(home, ".cursor/mcp.json");
  const before = '{\n  // mine\n  "mcpServers": { "own": { "command": "x" } }\n}\n';
  mkdirSync(dirname(path));
  writeFileSync(path, before, { mode: 0o644 });
  const run = await connect(["cursor", "--agent", name, "--key-file", keyFile, "--write", "--json"]);
  const backup = textAt(JSON.parse(run.out), "written", "backup");
  expect(readFileSync(backup, "utf8")).toBe(before);
  expect(statSync(backup).mode & 0o777).toBe(0o600);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const after = readFileSync(path, "utf8");
  expect(after).toContain("// mine");
  expect(after).toContain('"own"');
  await connect(["cursor", "--agent", name, "--key-file", keyFile, "--write"]);
  expect(readFileSync(path, "utf8")).toBe(after);
  expect(readdirSync(dirname(path))).toHaveLength(2);
});

test("follows a link, also one to a file that is not there yet", async () => {
  const { name, keyFile } = await newAgent();
  mkdirSync(join(home, "real"));
  symlinkSync("real", join(home, ".cursor"));
  symlinkSync("../dotfiles/mcp.json", join(home, "real/mcp.json"));
  for (const args of [["--key-file", keyFile], ["--rotate-key"]]) {
    const run = await connect(["cursor", "--agent", name, ...args, "--write"]);
    expect(run.exitCode).toBe(0);
    expect(lstatSync(join(home, ".cursor/mcp.json")).isSymbolicLink()).toBe(true);
    expect(readFileSync(join(home, "dotfiles/mcp.json"), "utf8")).toContain(gatewayUrl());
  }
});

test.each([...FILES, ["claude-code", ".claude.json", ["mcpServers", "sample", "url"]] as const])(
  "an entry of %s that goes around the gateway is named, and replaced when told, so that a scan finds no bypass",
  async (client, file, [...urlPath]) => {
    const { name, keyFile } = await newAgent();
    const path = join(app.home, file);
    const entry = { [urlPath.at(-1) ?? ""]: `${upstream.origin}/mcp`, headers: { "X-Key": "direct-secret" } };
    const tree = urlPath.slice(0, -2).reduceRight<object>((inner, key) => ({ [key]: inner }), { pay: entry });
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, client === "codex" ? toToml(tree) : JSON.stringify(tree));
    const bypasses = async () => {
      await app.rest("POST /scans", { targets: ["host"] });
      return (await app.rest("GET /scan-results", { kind: "policy_violation", status: "open" })).body["total"];
    };
    expect(await bypasses()).toBe(1);
    const found = await app.rest("GET /scan-results", { kind: "policy_violation", status: "open" });
    expect(textAt(found.body, "items", 0, "remediation")).toContain("`runlayer connect --replace`");
    const args = [client, "--agent", name, "--key-file", keyFile, "--path", path];
    const named = await connect(args);
    expect(named.err).toContain(
      "entry `pay` goes straight to `sample`: no policy and no audit apply; add --replace to route it through the gateway",
    );
    expect(await bypasses()).toBe(1);
    const replaced = await connect([...args, "--replace"]);
    expect([replaced.exitCode, replaced.err.includes("entry `pay` went straight to `sample`")]).toEqual([0, true]);
    expect(readFileSync(path, "utf8")).not.toContain("direct-secret");
    expect(await bypasses()).toBe(0);
    rmSync(path);
  },
);

test("a command that the registry has is told by its arguments, secrets or not", async () => {
  const stdio = { transport: "stdio", command: "npx", args: ["-y", "@acme/pay@1.0.0", "--token", "registered-1"] };
  const made = await app.rest("POST /servers", { name: "paid", ...stdio });
  expect(made.body).toMatchObject({ server: { name: "paid" } });
  const { name, keyFile } = await newAgent(["paid"]);
  const path = join(home, "desktop.json");
  const other = { command: "npx", args: ["-y", "@acme/pay@1.0.0", "--elsewhere"] };
  const mcpServers = { mine: { ...stdio, args: [...stdio.args.slice(0, 3), "mine-2"] }, other };
  writeFileSync(path, JSON.stringify({ mcpServers }));
  const run = await connect(["claude-desktop", "--agent", name, "--key-file", keyFile, "--path", path, "--json"]);
  expect(at(JSON.parse(run.out), "direct")).toEqual([{ name: "mine", server: "paid" }]);
});

test("a new key stops the old one, says so, and is in the log", async () => {
  const { name, id, keyFile } = await newAgent();
  const old = readFileSync(keyFile, "utf8").trim();
  const run = await connect(["cursor", "--agent", name, "--rotate-key", "--write"]);
  expect(run.exitCode).toBe(0);
  expect(run.err).toContain("the old one has stopped");
  const key = /rl_agent_\w+/.exec(readFileSync(join(home, ".cursor/mcp.json"), "utf8"))?.[0] ?? "";
  expect(key).not.toBe(old);
  await expect(app.agentClient("sample", old)).rejects.toMatchObject({ status: 401 });
  await app.agentClient("sample", key);
  await expectEvent(app, { action: "agent.update", resourceId: id });
});

test("a file that cannot take the servers costs no key", async () => {
  const { name, keyFile } = await newAgent();
  const path = join(home, "broken.json");
  writeFileSync(path, "{ nope");
  const run = await connect(["cursor", "--agent", name, "--rotate-key", "--path", path]);
  expect(run.exitCode).toBe(2);
  expect(readFileSync(path, "utf8")).toBe("{ nope");
  await app.agentClient("sample", readFileSync(keyFile, "utf8").trim());
});

test("a folder that cannot take the file costs no key, and a refused rotation leaves nothing behind", async () => {
  const { name, keyFile } = await newAgent();
  writeFileSync(join(home, "plain"), "text");
  const run = await connect(["cursor", "--agent", name, "--rotate-key", "--path", join(home, "plain/mcp.json")]);
  expect(run).toMatchObject({ exitCode: 2, err: expect.stringMatching(/^runlayer: `[^\n]*\n$/) });
  const key = readFileSync(keyFile, "utf8").trim();
  await app.agentClient("sample", key);
  const reader = textAt((await app.rest("POST /api-keys", { name: `${name}-reader`, role: "auditor" })).body, "secret");
  const path = join(home, "mcp.json");
  writeFileSync(path, "{}");
  const refused = await connect(["cursor", "--agent", name, "--rotate-key", "--path", path], {
    RUNLAYER_API_KEY: reader,
  });
  expect(refused.exitCode).toBe(3);
  expect(readdirSync(home).toSorted()).toEqual(["key", "mcp.json", "plain"]);
  await app.agentClient("sample", key);
});

test("what is no file that can be written is one line, costs no key and stays what it is", async () => {
  const { name, keyFile } = await newAgent();
  const [socket, circle, long] = [join(home, "socket"), join(home, "circle"), join(home, "x".repeat(300))];
  symlinkSync(circle, circle);
  const listener = createServer().listen(socket);
  await once(listener, "listening");
  onTestFinished(() => void listener.close());
  for (const path of [socket, circle, long]) {
    const run = await connect(["cursor", "--agent", name, "--rotate-key", "--path", path]);
    expect(run).toMatchObject({ exitCode: 2, out: "", err: expect.stringMatching(/^runlayer: `[^\n]*\n$/) });
  }
  expect(lstatSync(socket).isSocket()).toBe(true);
  await app.agentClient("sample", readFileSync(keyFile, "utf8").trim());
});

test.each(["text", "JSON"])("prints a new key, as %s, that does not get into its file after all", async (form) => {
  const { name } = await newAgent();
  const path = join(home, "mcp.json");
  // Whatever happens while the server makes the key: here somebody puts a folder into the place of the file.
  const between = createServer((request, response) => {
    if (request.method === "PATCH") mkdirSync(path);
    const { host: _, ...headers } = request.headers;
    const far = httpRequest(new URL(request.url ?? "", app.url), { method: request.method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 500, answer.headers);
      answer.pipe(response);
    });
    request.pipe(far);
  }).listen(0, "127.0.0.1");
  await once(between, "listening");
  const RUNLAYER_URL = `http://127.0.0.1:${String(at(between.address(), "port"))}`;
  const json = form === "JSON" ? ["--json"] : [];
  const run = await connect(["cursor", "--agent", name, "--rotate-key", "--path", path, ...json], { RUNLAYER_URL });
  expect([run.exitCode, run.err.includes(path)]).toEqual([3, true]);
  const printed: unknown = JSON.parse(run.out);
  const config: unknown = form === "JSON" ? JSON.parse(textAt(printed, "config")) : printed;
  const header = textAt(config, "mcpServers", "sample", "headers", "Authorization");
  await app.agentClient("sample", header.replace("Bearer ", ""));
  expect(at(printed, "error", "code")).toBe(form === "JSON" ? "conflict" : undefined);
  expect(readdirSync(home).toSorted()).toEqual(["key", "mcp.json"]);
  between.close();
});

test.each([
  ["no key at all", [], 2],
  ["a key and a rotation", ["--key-file", "KEY", "--rotate-key"], 2],
  ["a key file that is not there", ["--key-file", "/nowhere"], 2],
  ["an agent that is not there", ["--agent", "nobody", "--key-file", "KEY"], 3],
  ["an organization key in the file", ["--key-file", "ORG"], 2],
])("refuses %s and writes nothing", async (_what, args, exitCode) => {
  const { name, keyFile } = await newAgent();
  const orgFile = join(home, "org");
  writeFileSync(orgFile, app.ownerKey);
  const given = args.map((arg) => (arg === "KEY" ? keyFile : arg === "ORG" ? orgFile : arg));
  const run = await connect(["cursor", "--agent", name, "--write", ...given]);
  expect(run.exitCode).toBe(exitCode);
  expect(run.err).not.toContain(app.ownerKey);
  expect(existsSync(join(home, ".cursor"))).toBe(false);
});

test("refuses a key that is another agent's, or from before a rotation", async () => {
  const other = await newAgent();
  const otherKey = readFileSync(other.keyFile, "utf8");
  const { name, keyFile } = await newAgent();
  const args = ["cursor", "--agent", name, "--key-file", keyFile, "--write"];
  expect((await connect(args)).exitCode).toBe(0);
  const written = readFileSync(join(home, ".cursor/mcp.json"), "utf8");
  const refuse = async (): Promise<void> => {
    const run = await connect(args);
    expect(run).toMatchObject({ exitCode: 2, out: "", err: expect.stringContaining("`--rotate-key`") });
    expect(readFileSync(join(home, ".cursor/mcp.json"), "utf8")).toBe(written);
  };
  await app.rest(`PATCH /agents/${name}`, { rotateKey: true });
  await refuse();
  writeFileSync(keyFile, otherKey);
  await refuse();
});

test("refuses without an organization key, where nobody answers, and for an agent without servers", async () => {
  const { name, keyFile } = await newAgent([]);
  const args = ["cursor", "--agent", name, "--key-file", keyFile];
  expect((await connect(args, { RUNLAYER_API_KEY: "" })).exitCode).toBe(3);
  expect((await connect(args, { RUNLAYER_URL: "http://127.0.0.1:1" })).exitCode).toBe(4);
  const run = await connect(args);
  expect(run.exitCode).toBe(2);
  expect(run.err).toContain("has no servers");
});
