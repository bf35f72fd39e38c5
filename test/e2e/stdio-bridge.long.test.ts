import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { Client, type ClientOptions } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { startModernServer } from "../fixtures/mcp/http-servers.ts";
import { plainServer, startUpstream } from "../gateway/upstream.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { startEverything } from "../harness/npm-servers.ts";

/* `runlayer stdio` as Claude Desktop starts it: a real client, the real program, real servers behind the gateway. */

const BIN = resolve(import.meta.dirname, "../../bin/runlayer.js");

let app: TestApp;
let everything: Awaited<ReturnType<typeof startEverything>>;
let place: StdioPlace;
let folder: string;
let keyFile: string;
const clients: Client[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-bridge-"));
  place = makeStdioPlace(["@modelcontextprotocol/server-memory"]);
  app = await startTestApp(place.user === undefined ? {} : { RUNLAYER_STDIO_USER: place.user });
  everything = await startEverything();
  const remote = { transport: "streamable-http", url: everything.url, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "everything", ...remote });
  const args = [join(place.folder, "node_modules/@modelcontextprotocol/server-memory/dist/index.js")];
  await app.rest("POST /servers", { name: "memory", transport: "stdio", command: place.node, args, confirm: true });
  const servers = ["memory", { server: "everything", tools: ["echo", "trigger-*", "get-*"] }];
  const { body } = await app.rest("POST /agents", { name: "desktop", type: "claude-desktop", servers });
  keyFile = join(folder, "key");
  writeFileSync(keyFile, textAt(body, "key"), { mode: 0o600 });
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

afterAll(async () => {
  await app.close();
  await everything.stop();
  place.remove();
  rmSync(folder, { recursive: true, force: true });
});

interface Start {
  readonly server: string;
  readonly key?: string;
  readonly url?: string;
  readonly options?: ClientOptions;
  readonly prepare?: (client: Client) => void;
}

async function start({ server, key = keyFile, url = app.url, options = {}, prepare }: Start): Promise<Client> {
  const args = [BIN, "stdio", "--url", `${url}/gateway/${server}/mcp`, "--key-file", key];
  const client = new Client({ name: "desktop", version: "1.0.0" }, options);
  prepare?.(client);
  clients.push(client);
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" }));
  return client;
}

test("lists and calls tools of servers over HTTP and over stdio", async () => {
  const remote = await start({ server: "everything" });
  expect((await remote.listTools()).tools.map(({ name }) => name)).toContain("echo");
  const echo = await remote.callTool({ name: "echo", arguments: { message: "hello" } });
  expect(echo.content).toEqual([{ type: "text", text: "Echo: hello" }]);
  const local = await start({ server: "memory" });
  const graph = await local.callTool({ name: "read_graph", arguments: {} });
  expect(graph.structuredContent).toEqual({ entities: [], relations: [] });
});

test("joins an administrator's client to the management endpoint", async () => {
  const ownerFile = join(folder, "owner");
  writeFileSync(ownerFile, app.ownerKey, { mode: 0o600 });
  const args = [BIN, "stdio", "--url", `${app.url}/mcp`, "--key-file", ownerFile];
  const client = new Client({ name: "desktop", version: "1.0.0" });
  clients.push(client);
  await client.connect(new StdioClientTransport({ command: process.execPath, args, stderr: "ignore" }));
  const listed = await client.callTool({ name: "list_mcp_servers", arguments: {} });
  expect(textAt(listed.structuredContent, "items", 0, "name")).toBe("everything");
});

test("speaks 2026-07-28 where the server does", async () => {
  const modern = await startModernServer();
  const url = `${modern.origin}/mcp`;
  await app.rest("POST /servers", { name: "modern", transport: "streamable-http", url, allowPrivateNetwork: true });
  await app.rest("PATCH /agents/desktop", { addServers: ["modern"] });
  const client = await start({ server: "modern", options: { versionNegotiation: { mode: "auto" } } });
  expect(client.getNegotiatedProtocolVersion()).toBe("2026-07-28");
  const answer = await client.callTool({ name: "tool-0", arguments: { text: "hello" } });
  expect(textAt(answer.content, 0, "text")).toContain("hello");
  await client.close();
  await modern.close();
});

test("passes messages of megabytes both ways, whole", async () => {
  const client = await start({ server: "everything" });
  const message = "ä".repeat(1_500_000);
  const echo = await client.callTool({ name: "echo", arguments: { message } });
  expect(echo.content).toEqual([{ type: "text", text: `Echo: ${message}` }]);
});

test("passes many requests at once, each to its own answer", async () => {
  const client = await start({ server: "everything" });
  const texts = Array.from({ length: 40 }, (_, index) => `number ${index}`);
  const answers = await Promise.all(texts.map((message) => client.callTool({ name: "echo", arguments: { message } })));
  expect(answers.map(({ content }) => textAt(content, 0, "text"))).toEqual(texts.map((text) => `Echo: ${text}`));
});

test.each(["everything", "memory"])(
  "takes lines that follow `initialize` without a wait, as %s does",
  async (server) => {
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "script", version: "1.0.0" },
    };
    const lines = [
      { jsonrpc: "2.0", id: 1, method: "initialize", params },
      { jsonrpc: "2.0", method: "notifications/initialized" },
      { jsonrpc: "2.0", id: 2, method: "tools/list" },
    ];
    const args = [BIN, "stdio", "--url", `${app.url}/gateway/${server}/mcp`, "--key-file", keyFile];
    const bridge = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "ignore"] });
    const answers: unknown[] = [];
    createInterface(bridge.stdout).on("line", (line) => answers.push(JSON.parse(line)));
    bridge.stdin.write(lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
    await expect.poll(() => answers.length, { timeout: 20_000 }).toBeGreaterThan(1);
    const exited = once(bridge, "exit");
    bridge.stdin.end();
    await exited;
    expect(answers).toContainEqual({
      jsonrpc: "2.0",
      id: 2,
      result: expect.objectContaining({ tools: expect.anything() }),
    });
  },
);

test("passes the server's own requests to the client and its answers back", async () => {
  const client = await start({
    server: "everything",
    options: { capabilities: { sampling: {} } },
    prepare(built) {
      built.setRequestHandler("sampling/createMessage", () => ({
        model: "test-model",
        role: "assistant",
        content: { type: "text", text: "a sampled answer" },
      }));
    },
  });
  // The server registers what asks the client only after it knows the client's capabilities.
  await expect
    .poll(async () => (await client.listTools()).tools.map(({ name }) => name))
    .toContain("trigger-sampling-request");
  const answer = await client.callTool({ name: "trigger-sampling-request", arguments: { prompt: "p", maxTokens: 10 } });
  expect(textAt(answer.content, 0, "text")).toContain("a sampled answer");
});

test("passes a refusal of the gateway as it is", async () => {
  const client = await start({ server: "everything" });
  const call = client.callTool({ name: "simulate-research-query", arguments: { topic: "x" } });
  await expect(call).rejects.toMatchObject({ code: -32011, data: { type: "runlayer.denied", reason: "not_assigned" } });
});

test("tells the client that a call which was cut off had been sent", async () => {
  const called = Promise.withResolvers<void>();
  const silent = await startUpstream((received) =>
    received.message.method === "tools/call" ? called.resolve() : plainServer(received),
  );
  const remote = { transport: "streamable-http", url: `${silent.url}/mcp`, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "silent", ...remote });
  await app.rest("PATCH /agents/desktop", { addServers: ["silent"] });
  const client = await start({ server: "silent" });
  const call = client.callTool({ name: "anything", arguments: {} });
  // It may fail before the change is answered.
  const refused = expect(call).rejects.toMatchObject({ data: { type: "runlayer.cut_off", wasSent: true } });
  await called.promise;
  await app.rest("PATCH /servers/silent", { status: "disabled", confirm: true });
  await refused;
  await silent.close();
});

test.each([
  ["a key that the gateway does not take", { key: "refused" }, /unauthenticated/],
  ["a server that the agent may not reach", { server: "nothing" }, /not_found/],
  ["a gateway that does not answer", { url: "http://127.0.0.1:1" }, /does not answer/],
])("tells the client of %s instead of leaving it waiting", async (_what, given, expected) => {
  writeFileSync(join(folder, "refused"), `rl_agent_${"a".repeat(39)}`);
  const key = "key" in given ? join(folder, given.key) : keyFile;
  await expect(start({ server: "everything", ...given, key })).rejects.toThrow(expected);
});

test.each(["everything", "memory"])(
  "outlives a restart of the gateway in the middle of a session with %s",
  async (server) => {
    const client = await start({ server });
    const tool =
      server === "memory" ? { name: "read_graph", arguments: {} } : { name: "echo", arguments: { message: "x" } };
    expect((await client.callTool(tool)).isError).not.toBe(true);
    await app.restart();
    expect((await client.callTool(tool)).isError).not.toBe(true);
    expect((await client.listTools()).tools.length).toBeGreaterThan(0);
  },
);
