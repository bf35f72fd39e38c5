import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { at, freePort, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/*
 * Servers that people run, from npm, with both generations of the official client. Each answers through the gateway what it
 * answers without.
 */

let app: TestApp;
let place: StdioPlace;
let everything: { readonly url: string; stop(): Promise<void> };
let key: string;

const PACKAGES = ["everything", "filesystem", "memory"].map((name) => `@modelcontextprotocol/server-${name}`);

beforeAll(async () => {
  place = makeStdioPlace(PACKAGES);
  const files = join(place.folder, "files");
  mkdirSync(files);
  writeFileSync(join(files, "hello.txt"), "hello from a file\n");
  const memory = join(place.folder, "memory");
  mkdirSync(memory);
  // The stdio user writes its graph there.
  chmodSync(memory, 0o777);
  everything = await startEverything();
  app = await startTestApp({ RUNLAYER_STDIO_USER: place.user, RUNLAYER_LOG_LEVEL: "warn" });
  const http = { transport: "streamable-http", url: everything.url, allowPrivateNetwork: true };
  await register("everything", http);
  await register("everything-stdio", stdio("everything"));
  await register("filesystem", stdio("filesystem", { args: [files] }));
  await register("memory", stdio("memory", { env: { MEMORY_FILE_PATH: join(memory, "graph.json") } }));
  const servers = ["everything", "everything-stdio", "filesystem", "memory"];
  key = textAt((await app.rest("POST /agents", { name: "real", type: "custom", servers })).body, "key");
}, 120_000);

afterAll(async () => {
  await app.close();
  await everything.stop();
  place.remove();
});

function scriptOf(name: string): string {
  return join(place.folder, `node_modules/@modelcontextprotocol/server-${name}/dist/index.js`);
}

function stdio(name: string, { args = [], env = {} }: { args?: string[]; env?: Record<string, string> } = {}) {
  return { transport: "stdio", command: place.node, args: [scriptOf(name), ...args], env, confirm: true };
}

async function register(name: string, input: object): Promise<void> {
  const reply = await app.rest("POST /servers", { name, ...input });
  expect(at(reply.body, "discovery", "state"), JSON.stringify(reply.body)).toBe("ok");
}

async function startEverything() {
  const port = await freePort();
  const child = spawn(process.execPath, [scriptOf("everything"), "streamableHttp"], {
    env: { PATH: process.env["PATH"], PORT: String(port) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  const exited = once(child, "exit");
  // It says on standard error that it listens.
  await Promise.race([once(child.stderr, "data"), exited]);
  child.stderr.resume();
  return {
    url: `http://127.0.0.1:${port}/mcp`,
    async stop() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

interface AnyClient {
  listTools(): Promise<unknown>;
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  close(): Promise<void>;
}

const CLIENTS: Readonly<Record<string, (url: string) => Promise<AnyClient>>> = {
  async v1(url) {
    const client = new ClientV1({ name: "v1", version: "1.0.0" });
    // Its own transport does not fit its own parameter where optional members may not be undefined.
    const connects: { connect(transport: object): Promise<void> } = client;
    const transport = new TransportV1(new URL(url), { requestInit: { headers: { authorization: `Bearer ${key}` } } });
    await connects.connect(transport);
    return client;
  },
  async v2(url) {
    const client = new Client({ name: "v2", version: "1.0.0" });
    const requestInit = { headers: { authorization: `Bearer ${key}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }));
    return client;
  },
};

interface Step {
  readonly tool: string;
  readonly args: () => Record<string, unknown>;
  readonly says: string;
}

const STEPS: readonly (readonly [string, Step])[] = [
  ["everything", { tool: "echo", args: () => ({ message: "ahoy" }), says: "ahoy" }],
  ["everything-stdio", { tool: "echo", args: () => ({ message: "ahoy" }), says: "ahoy" }],
  [
    "filesystem",
    {
      tool: "read_text_file",
      args: () => ({ path: join(place.folder, "files/hello.txt") }),
      says: "hello from a file",
    },
  ],
  [
    "memory",
    {
      tool: "create_entities",
      args: () => ({ entities: [{ name: "Ada", entityType: "person", observations: ["writes programs"] }] }),
      says: "content",
    },
  ],
];

const CASES = Object.keys(CLIENTS).flatMap((client) => STEPS.map(([server, step]) => ({ client, server, step })));

test.each(CASES)("the SDK's $client client calls server $server", async ({ client: version, server, step }) => {
  const client = await CLIENTS[version]?.(`${app.url}/gateway/${server}/mcp`);
  if (client === undefined) throw new Error("no such client");
  const { tool, args, says } = step;
  expect(JSON.stringify(await client.listTools())).toContain(`"${tool}"`);
  const answer = await client.callTool({ name: tool, arguments: args() });
  expect(JSON.stringify(answer)).toContain(says);
  expect(at(answer, "isError")).not.toBe(true);
  await client.close();
});

test("what a server lists through the gateway is what it lists without", async () => {
  const through = new Client({ name: "through", version: "1.0.0" });
  const requestInit = { headers: { authorization: `Bearer ${key}` } };
  await through.connect(
    new StreamableHTTPClientTransport(new URL(`${app.url}/gateway/everything/mcp`), { requestInit }),
  );
  const direct = new Client({ name: "direct", version: "1.0.0" });
  await direct.connect(new StreamableHTTPClientTransport(new URL(everything.url)));
  expect(await through.listTools()).toEqual(await direct.listTools());
  expect(await through.listPrompts()).toEqual(await direct.listPrompts());
  expect((await through.listResources()).resources).toEqual((await direct.listResources()).resources);
  expect(through.getServerVersion()).toEqual(direct.getServerVersion());
  expect(through.getInstructions()).toEqual(direct.getInstructions());
  await through.close();
  await direct.close();
});
