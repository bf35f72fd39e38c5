import { chmodSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { Client as ClientV2, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { Client as ClientV1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport as TransportV1 } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { startEverything } from "../harness/npm-servers.ts";

/* The published servers behind the gateway, called by both generations of the published client. */

const FILESYSTEM = "@modelcontextprotocol/server-filesystem";
const MEMORY = "@modelcontextprotocol/server-memory";

let app: TestApp;
let everything: Awaited<ReturnType<typeof startEverything>>;
let place: StdioPlace;
let documents: string;
let key: string;

beforeAll(async () => {
  place = makeStdioPlace([FILESYSTEM, MEMORY]);
  documents = join(place.folder, "documents");
  mkdirSync(documents);
  // The servers may run as another account.
  chmodSync(documents, 0o777);
  app = await startTestApp(place.user === undefined ? {} : { RUNLAYER_STDIO_USER: place.user });
  everything = await startEverything();
  const remote = { transport: "streamable-http", url: everything.url, allowPrivateNetwork: true };
  await register("everything", remote);
  await register("files", launch(FILESYSTEM, [documents]));
  await register("memory", { ...launch(MEMORY), env: { MEMORY_FILE_PATH: join(documents, "memory.jsonl") } });
  const servers = ["everything", "files", "memory"];
  const { body } = await app.rest("POST /agents", { name: "caller", type: "my-own-client", servers });
  key = textAt(body, "key");
});

afterAll(async () => {
  await app.close();
  await everything.stop();
  place.remove();
});

function launch(name: string, args: readonly string[] = []): Record<string, unknown> {
  const entry = join(place.folder, "node_modules", name, "dist/index.js");
  return { transport: "stdio", command: place.node, args: [entry, ...args], confirm: true };
}

async function register(name: string, endpoint: Record<string, unknown>): Promise<void> {
  const { body } = await app.rest("POST /servers", { name, ...endpoint });
  expect(at(body, "discovery", "state")).toBe("ok");
}

/** What both generations can do. */
interface Caller {
  tools(): Promise<string[]>;
  call(name: string, args: Record<string, unknown>): Promise<string>;
  close(): Promise<void>;
}

const GENERATIONS: Readonly<Record<string, (server: string) => Promise<Caller>>> = {
  async "SDK v1"(server) {
    const client = new ClientV1({ name: "v1", version: "1.0.0" });
    await client.connect(new TransportV1(gatewayUrl(server), { requestInit }));
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args })),
      close: () => client.close(),
    };
  },
  async "SDK v2"(server) {
    const client = new ClientV2({ name: "v2", version: "1.0.0" });
    await client.connect(new StreamableHTTPClientTransport(gatewayUrl(server), { requestInit }));
    return {
      tools: async () => (await client.listTools()).tools.map(({ name }) => name),
      call: async (name, args) => JSON.stringify(await client.callTool({ name, arguments: args })),
      close: () => client.close(),
    };
  },
};

const requestInit = {
  get headers() {
    return { Authorization: `Bearer ${key}` };
  },
};

const gatewayUrl = (server: string): URL => new URL(`${app.url}/gateway/${server}/mcp`);

describe.each(Object.entries(GENERATIONS))("%s", (generation, connect) => {
  const label = generation.slice(-2);

  test("calls server-everything", async () => {
    const caller = await connect("everything");
    expect(await caller.tools()).toEqual(expect.arrayContaining(["echo", "get-sum", "get-structured-content"]));
    expect(await caller.call("get-sum", { a: 19, b: 23 })).toContain("42");
    expect(await caller.call("get-structured-content", { location: "Chicago" })).toContain("structuredContent");
    expect(await caller.call("trigger-long-running-operation", { duration: 1, steps: 2 })).toContain("completed");
    await caller.close();
  });

  test("calls server-filesystem", async () => {
    const caller = await connect("files");
    expect(await caller.tools()).toEqual(expect.arrayContaining(["read_text_file", "write_file"]));
    const path = join(documents, `${label}.txt`);
    await caller.call("write_file", { path, content: `written by ${generation}` });
    expect(readFileSync(path, "utf8")).toBe(`written by ${generation}`);
    expect(await caller.call("read_text_file", { path })).toContain(`written by ${generation}`);
    expect(await caller.call("read_text_file", { path: "/etc/passwd" })).toContain("isError");
    await caller.close();
  });

  test("calls server-memory", async () => {
    const caller = await connect("memory");
    const entities = [{ name: `entity-${label}`, entityType: "test", observations: ["seen through the gateway"] }];
    await caller.call("create_entities", { entities });
    expect(await caller.call("search_nodes", { query: `entity-${label}` })).toContain("seen through the gateway");
    await caller.close();
  });
});

test("every call is one event", async () => {
  const { body } = await app.rest("GET /audit-events", { action: "tool.call", agent: "caller", limit: 200 });
  expect(body["total"]).toBe(16);
  const outcomes = [1, 2, 3].map((_, index) => at(body, "items", index, "outcome"));
  expect(outcomes).toEqual(["success", "success", "success"]);
});
