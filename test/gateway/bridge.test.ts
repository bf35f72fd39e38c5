import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { ElicitRequestSchema } from "@modelcontextprotocol/sdk/types.js";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import type { RunningServer } from "../fixtures/mcp/http-servers.ts";
import { startSseServer } from "../fixtures/mcp/http-servers.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { superviseIn } from "./supervisor.ts";

const OPEN = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let sse: RunningServer;
let alice: AgentKey;
let bob: AgentKey;
/** Servers that were heard to be well. */
const healthy = new Set<string>();

beforeAll(async () => {
  place = makeStdioPlace(["@modelcontextprotocol/server-everything", "@modelcontextprotocol/server-memory"]);
  supervisor = superviseIn(place);
  harness = await startHarness({
    startChild: (spec) => supervisor.start(spec),
    bridgedSessionsPerAgentMax: 3,
    observer: {
      toolsListed: () => undefined,
      health: (serverId, { state }) => {
        if (state === "ok") healthy.add(harness.liveView.current.serverById.get(serverId)?.server.name ?? serverId);
      },
      keyUsed: () => undefined,
      keyDenied: () => undefined,
    },
  });
  sse = await startSseServer();
  const stdio = (name: string, args: readonly string[]) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder },
      { args, env: { MARK: name } },
    );
  const modules = `${place.folder}/node_modules/@modelcontextprotocol`;
  const servers = [
    await stdio("sample", [place.script]),
    await stdio("exits", [place.script, "exit"]),
    await stdio("banner", [place.script, "banner"]),
    await stdio("silent", [place.script, "silent"]),
    await stdio("everything", [`${modules}/server-everything/dist/index.js`]),
    await stdio("memory", [`${modules}/server-memory/dist/index.js`]),
    await harness.addServer(
      { name: "secretive", transport: "stdio", command: place.node, cwd: place.folder },
      { args: [place.script], credential: { type: "env", values: { MARK: "s3cret-of-child" } } },
    ),
    await harness.addServer({ name: "legacy", transport: "sse", url: `${sse.origin}/sse` }),
  ];
  alice = await harness.addAgent(
    "alice",
    servers.map(({ id }) => ({ serverId: id })),
  );
  bob = await harness.addAgent("bob", [{ serverId: servers[0]?.id ?? "", tools: ["read"] }]);
}, 120_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await sse.close();
  place.remove();
});

test("runs a child for each session, with the declared environment alone, and denies and filters as for any server", async () => {
  const url = `${harness.url}/gateway/sample/mcp`;
  const mine = await open(url, alice);
  const theirs = await open(url, bob);
  expect(supervisor.count()).toBe(2);
  const answer = await post(url, alice.key, call(2, "env"), { headers: mine });
  const env = JSON.parse(textOf(answer.messages[0]?.result)).env;
  expect(env.MARK).toBe("sample");
  expect(env.HOME).toBeDefined();
  expect(env.RUNLAYER_MASTER_KEY).toBeUndefined();
  const denied = await post(url, bob.key, call(2, "env"), { headers: theirs });
  expect(denied.messages[0]?.error?.code).toBe(-32011);
  const list = await post(url, bob.key, request(3, "tools/list"), { headers: theirs });
  expect(list.messages[0]?.result?.["tools"]).toMatchObject([{ name: "read" }]);
  expect((await post(url, bob.key, call(4, "read"), { headers: mine })).status).toBe(404);
  expect((await harness.events("tool.call")).filter((event) => event.resource.name.startsWith("sample/"))).toHaveLength(
    2,
  );
  for (const [agent, session] of [
    [alice, mine],
    [bob, theirs],
  ] as const)
    expect(
      (await fetch(url, { method: "DELETE", headers: { ...session, authorization: `Bearer ${agent.key}` } })).status,
    ).toBe(200);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
  expect((await post(url, alice.key, call(5, "env"), { headers: mine })).status).toBe(404);
});

test("a text never becomes a message of its own, whatever its child takes for the end of a line", async () => {
  const url = `${harness.url}/gateway/sample/mcp`;
  const session = await open(url, bob);
  for (const lineBreak of ["\u2028", "\u2029", "\u0085"]) {
    const hidden = JSON.stringify(call(99, "env"));
    const body = JSON.stringify(call(2, "read", { uri: `x${lineBreak}${hidden}${lineBreak}` }));
    expect(body).toContain(lineBreak);
    const answer = await post(url, bob.key, body, { headers: session, signal: AbortSignal.timeout(5000) });
    expect(answer.messages).toMatchObject([{ id: 2 }]);
  }
  await end(url, session, bob);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
});

test("hides a child's credential that it repeats", async () => {
  const url = `${harness.url}/gateway/secretive/mcp`;
  const session = await open(url, alice);
  const answer = await post(url, alice.key, call(2, "env"), { headers: session });
  expect(JSON.parse(textOf(answer.messages[0]?.result)).env.MARK).toBe("***************");
  expect(answer.text).not.toContain("s3cret");
  await end(url, session);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
});

test("an agent with too many sessions loses its own oldest idle one, and is refused when all are in use", async () => {
  const url = `${harness.url}/gateway/sample/mcp`;
  const theirs = await open(url, bob);
  const mine = [await open(url, alice), await open(url, alice), await open(url, alice)];
  const [first, second, third] = mine;
  if (first === undefined || second === undefined || third === undefined) throw new Error("not opened");
  const fourth = await open(url, alice);
  expect((await post(url, alice.key, call(5, "env"), { headers: first })).status).toBe(404);
  const streams = [second, third, fourth].map((session) => openStream(url, streamInit(alice.key, undefined, session)));
  const opened = await Promise.all(streams);
  const refused = await post(url, alice.key, request(1, "initialize", OPEN));
  expect([refused.status, refused.messages[0]?.error?.code]).toEqual([503, -32013]);
  expect(refused.messages[0]?.error?.message).toContain("3 sessions");
  expect((await post(url, bob.key, call(6, "read"), { headers: theirs })).status).toBe(200);
  for (const stream of opened) stream.close();
  for (const session of [second, third, fourth]) await end(url, session);
  await end(url, theirs, bob);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
});

test("passes over what a child prints that is no message", async () => {
  const url = `${harness.url}/gateway/banner/mcp`;
  const session = await open(url, alice);
  expect(
    (await post(url, alice.key, request(2, "tools/list"), { headers: session })).messages[0]?.result,
  ).toBeDefined();
  await end(url, session);
});

test("says clearly that a child ended at once, and records the attempt", async () => {
  const answer = await post(`${harness.url}/gateway/exits/mcp`, alice.key, request(1, "initialize", OPEN));
  expect(answer.text).toContain("exit code 7");
  expect(answer.text).not.toContain("session was ended");
  expect((await harness.events("session.open")).at(-1)).toMatchObject({ outcome: "error", reason: "upstream_reset" });
});

test("ends the child of a session whose agent loses the server", async () => {
  const url = `${harness.url}/gateway/silent/mcp`;
  const pending = post(url, alice.key, request(1, "initialize", OPEN));
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(1);
  await sleep(100);
  await setServerStatus("silent", "disabled");
  await pending.catch(() => undefined);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
  await setServerStatus("silent", "active");
  // The client knew that it was connected by then; of the server nothing was heard.
  expect(healthy).not.toContain("silent");
  expect(healthy).toContain("sample");
});

test("needs a session, and tells a stateless client so", async () => {
  const url = `${harness.url}/gateway/sample/mcp`;
  expect((await post(url, alice.key, call(1, "env"))).status).toBe(400);
  const meta = { "io.modelcontextprotocol/protocolVersion": "2026-07-28" };
  const headers = { "mcp-protocol-version": "2026-07-28", "mcp-method": "server/discover" };
  const modern = await post(url, alice.key, request(1, "server/discover", { _meta: meta }), { headers });
  expect([modern.status, modern.messages[0]?.error?.code]).toEqual([400, -32022]);
});

test.each(["everything", "memory", "legacy"])("serves the SDK's client from `%s`", async (name) => {
  const client = new Client({ name: "t", version: "1" }, { capabilities: { elicitation: {} } });
  client.setRequestHandler(ElicitRequestSchema, () => ({ action: "decline" }));
  const requestInit = { headers: { authorization: `Bearer ${alice.key}` } };
  // The SDK's own types disagree with exactOptionalPropertyTypes; the object is what `connect` takes.
  const transport: unknown = new StreamableHTTPClientTransport(new URL(`${harness.url}/gateway/${name}/mcp`), {
    requestInit,
  });
  await client.connect(toTransport(transport));
  const { tools } = await client.listTools();
  expect(tools.length).toBeGreaterThan(0);
  if (name === "everything") {
    const progress: number[] = [];
    const running = { name: "trigger-long-running-operation", arguments: { duration: 1, steps: 4 } };
    await client.callTool(running, undefined, { onprogress: (step) => progress.push(step.progress) });
    expect(progress.length).toBeGreaterThan(1);
    const echoed = await client.callTool({ name: "echo", arguments: { message: "hi" } });
    expect(JSON.stringify(echoed)).toContain("hi");
  }
  await client.close();
});

async function open(url: string, agent: AgentKey): Promise<Record<string, string>> {
  const opened = await post(url, agent.key, request(1, "initialize", OPEN));
  expect(opened.messages[0]?.result).toBeDefined();
  const session = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-06-18",
  };
  await post(url, agent.key, { jsonrpc: "2.0", method: "notifications/initialized" }, { headers: session });
  return session;
}

async function end(url: string, session: Record<string, string>, agent = alice): Promise<void> {
  await fetch(url, { method: "DELETE", headers: { ...session, authorization: `Bearer ${agent.key}` } });
}

async function setServerStatus(name: string, status: "active" | "disabled"): Promise<void> {
  await harness.store.transaction(async (tx) => {
    const server = await tx.servers.get(name);
    await tx.servers.save({ ...server, status, version: server.version + 1 });
  });
}

function textOf(result: Record<string, unknown> | undefined): string {
  const content = result?.["content"];
  const first: unknown = Array.isArray(content) ? content[0] : undefined;
  if (typeof first !== "object" || first === null || !("text" in first)) throw new Error("no text");
  return String(first.text);
}

function toTransport(value: unknown): Parameters<Client["connect"]>[0] {
  if (!isTransport(value)) throw new Error("no transport");
  return value;
}

function isTransport(value: unknown): value is Parameters<Client["connect"]>[0] {
  return typeof value === "object" && value !== null && "send" in value;
}
