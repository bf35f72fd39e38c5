import { createHook } from "node:async_hooks";
import { once } from "node:events";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { AppError } from "../../src/lib/errors.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit, type Posted } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import {
  plainServer,
  result,
  sendEvent,
  sendJson,
  startSse,
  startUpstream,
  type Received,
  type TestUpstream,
} from "./upstream.ts";
import { superviseIn } from "./supervisor.ts";

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
/** Of a caller that puts it where it does not belong. */
const SECRET = "s3cret-of-a-caller";
const stack = new AsyncDisposableStack();

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let upstream: TestUpstream;
let agent: AgentKey;
let url: string;
/** What the next `tools/call` of the HTTP server does. */
let behave: (received: Received) => void;
let isDiskFull = false;

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = superviseIn(place);
  upstream = await startUpstream((received) =>
    received.message.method === "tools/call" ? behave(received) : plainServer(received),
  );
  const nothing = () => Promise.reject(new Error("no skill runs here"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  harness = await startHarness({
    aggregate: { skills, version: "1.0.0" },
    startChild: (spec) => supervisor.start(spec),
    wrapAudit: failingWhenFull,
    maskSecrets: (value) => (typeof value === "string" ? value.replaceAll(SECRET, "****") : value),
  });
  const child = { name: "child", transport: "stdio", command: place.node, cwd: place.folder } as const;
  const servers = [
    await harness.addServer({ name: "http", url: `${upstream.url}/mcp` }),
    await harness.addServer(child, { args: [place.script] }),
  ];
  agent = await harness.addAgent(
    "a",
    servers.map(({ id }) => ({ serverId: id })),
  );
  url = `${harness.url}/gateway/mcp`;
});

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await upstream.close();
  await stack.disposeAsync();
  place.remove();
});

beforeEach(() => {
  behave = plainServer;
});

/** The real log, unless the test says that its disk is full. */
function failingWhenFull(log: AuditLog): AuditLog {
  const full = () => Promise.reject(new AppError("unavailable", "no space left on the device"));
  return new Proxy(log, {
    get(target, name) {
      if (isDiskFull && (name === "stage" || name === "record")) return full;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function openSession(): Promise<Record<string, string>> {
  const opened = await post(url, agent.key, request(1, "initialize", INITIALIZE));
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

const callIn = (headers: Record<string, string>, name: string, args: object = {}): Promise<Posted> =>
  post(url, agent.key, request(2, "tools/call", { name, arguments: args }), { headers });

const callStateless = (
  name: string,
  { key = agent.key, signal }: { key?: string; signal?: AbortSignal } = {},
): Promise<Posted> =>
  post(url, key, request(2, "tools/call", { name, arguments: {}, _meta: META }), {
    headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name },
    ...(signal === undefined ? {} : { signal }),
  });

const requestsTo = (method: string): number =>
  upstream.received.filter((received) => received.message.method === method || received.method === method).length;

test("a stateless request leaves no session and no child behind", async () => {
  for (let count = 0; count < 3; count += 1)
    expect((await callStateless("child__env")).messages).toMatchObject([{ id: 2, result: {} }]);
  await expect.poll(() => harness.bridge.sessionCount).toBe(0);
  const before = requestsTo("DELETE");
  expect((await callStateless("http__read_file")).messages).toMatchObject([{ id: 2, result: {} }]);
  await expect.poll(() => requestsTo("DELETE")).toBe(before + 1);
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  const ended = (await harness.events("session.end")).filter(({ sessionId }) => sessionId !== undefined);
  expect(ended.at(-1)).toMatchObject({ details: { reason: "client" } });
  expect(harness.gateway.sessions()).toEqual([]);
});

test("ends a request that its client takes back, with what it asked of a child for it", async () => {
  const headers = await openSession();
  const callsBefore = (await harness.events("tool.call")).length;
  const waiting = request(7, "tools/call", { name: "child__wait", arguments: {}, _meta: { progressToken: 1 } });
  const running = await openStream(url, streamInit(agent.key, waiting, headers));
  expect((await running.next())?.message?.method).toBe("notifications/progress");
  const taken = { jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 7 } };
  await post(url, agent.key, taken, { headers });
  await expect
    .poll(async () => (await harness.events("tool.call")).slice(callsBefore))
    .toMatchObject([{ outcome: "error", reason: "client_cancelled" }]);
  expect(await running.next()).toBeUndefined();
  await expect.poll(() => harness.gateway.aggregate?.openCalls).toBe(0);
  await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${agent.key}`, ...headers } });
  await expect.poll(() => harness.bridge.sessionCount).toBe(0);
});

test("asks a server of an older revision for the newest at most once, and one that has changed again", async () => {
  const of = async (server: string, action: string) =>
    (await harness.events(action)).filter(({ resource }) => resource.name === server).map(({ outcome }) => outcome);
  let isOld = true;
  const changing = await startUpstream((received) => {
    const { method, id } = received.message;
    const isOther = method === (isOld ? "server/discover" : "initialize");
    const error = { code: -32_601, message: "no such method" };
    if (isOther) return sendJson(received, { jsonrpc: "2.0", id, error }, { status: isOld ? 200 : 400 });
    if (isOld) return plainServer(received);
    const found = { supportedVersions: [VERSION], capabilities: { tools: {} }, ttlMs: 0, cacheScope: "private" };
    sendJson(received, result(received, { ...found, content: [], resultType: "complete" }));
  });
  const endpoint = { url: `${changing.url}/mcp` };
  const unknown = await harness.addServer({ name: "unknown", ...endpoint });
  const known = await harness.addServer({ name: "known", ...endpoint, protocolVersion: "2025-11-25" });
  const { key } = await harness.addAgent(
    "asker",
    [unknown, known].map(({ id }) => ({ serverId: id })),
  );
  const callAt = async (server: string) => (await callStateless(`${server}__read_file`, { key })).messages;
  for (let count = 0; count < 2; count += 1)
    for (const server of ["unknown", "known"]) expect(await callAt(server)).toMatchObject([{ result: {} }]);
  expect(await of("unknown", "server.discover")).toEqual(["error"]);
  expect(await of("known", "server.discover")).toEqual([]);
  expect(await of("known", "session.open")).toEqual(["success", "success"]);
  isOld = false;
  for (let count = 0; count < 2; count += 1) expect(await callAt("known")).toMatchObject([{ result: {} }]);
  expect(await of("known", "server.discover")).toEqual(["success", "success"]);
  await changing.close();
});

test("the end of a session ends those that it opened at servers", async () => {
  const headers = await openSession();
  expect((await callIn(headers, "child__env")).messages).toMatchObject([{ id: 2, result: {} }]);
  expect(harness.bridge.sessionCount).toBe(1);
  await fetch(url, { method: "DELETE", headers: { authorization: `Bearer ${agent.key}`, ...headers } });
  await expect.poll(() => harness.bridge.sessionCount).toBe(0);
});

test("a call of a stateless client that goes away is given up, and its session ends", async () => {
  const sent = Promise.withResolvers<void>();
  behave = () => sent.resolve();
  const controller = new AbortController();
  const before = requestsTo("DELETE");
  const gone = callStateless("http__read_file", { signal: controller.signal }).catch(() => undefined);
  await sent.promise;
  controller.abort();
  await gone;
  await expect.poll(() => requestsTo("DELETE")).toBe(before + 1);
  await expect.poll(() => harness.gateway.liveExchanges).toBe(0);
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ reason: "client_disconnected" });
});

test("a session that an administrator ends takes its call with it: it is not sent again, and the next one begins anew", async () => {
  const sent = Promise.withResolvers<void>();
  behave = () => sent.resolve();
  const headers = await openSession();
  const before = requestsTo("tools/call");
  const waiting = callIn(headers, "http__write_file");
  await sent.promise;
  const [inner] = harness.gateway.sessions().filter(({ serverId }) => serverId !== undefined);
  expect(harness.gateway.endSession(inner?.id ?? "")).toBe(true);
  expect((await waiting).messages[0]?.error?.message).toContain("ended this session");
  expect(requestsTo("tools/call")).toBe(before + 1);
  behave = plainServer;
  expect((await callIn(headers, "http__write_file")).messages).toMatchObject([{ id: 2, result: {} }]);
});

test("a call that a server answers with 404 is not sent again", async () => {
  behave = (received) => {
    const error = { code: -32_600, message: "no such session; start a new one with `initialize`" };
    sendJson(received, { jsonrpc: "2.0", id: null, error }, { status: 404 });
  };
  const headers = await openSession();
  const before = requestsTo("tools/call");
  expect((await callIn(headers, "http__write_file")).messages).toMatchObject([{ id: 2, error: { code: -32_600 } }]);
  expect(requestsTo("tools/call")).toBe(before + 1);
  behave = plainServer;
  const opened = requestsTo("initialize");
  expect((await callIn(headers, "http__write_file")).messages).toMatchObject([{ id: 2, result: {} }]);
  expect(requestsTo("initialize")).toBe(opened + 1);
});

test("a call that is answered leaves no timer behind that waits for its limit of an hour", async () => {
  const headers = await openSession();
  const open = new Set<number>();
  let begun = 0;
  const hook = createHook({
    init(id, type, ...[, resource]) {
      if (type !== "Timeout" || Reflect.get(resource, "_idleTimeout") !== 60 * 60_000) return;
      open.add(id);
      begun += 1;
    },
    destroy: (id) => void open.delete(id),
  }).enable();
  try {
    expect((await callIn(headers, "http__read_file")).messages).toMatchObject([{ result: {} }]);
    expect(begun).toBe(1);
    await expect.poll(() => open.size).toBe(0);
  } finally {
    hook.disable();
  }
});

test("a call for a session that had ended before is sent in a new one", async () => {
  const headers = await openSession();
  for (const name of ["http__read_file", "child__env"]) {
    expect((await callIn(headers, name)).messages).toMatchObject([{ result: {} }]);
    for (const { id, serverId } of harness.gateway.sessions())
      if (serverId !== undefined) harness.gateway.endSession(id);
    expect((await callIn(headers, name)).messages).toMatchObject([{ result: {} }]);
  }
  expect((await callIn(headers, "child__crash")).messages).toMatchObject([{ error: {} }]);
  const calls = (await harness.events("tool.call")).length;
  expect((await callIn(headers, "child__env")).messages).toMatchObject([{ result: {} }]);
  expect((await harness.events("tool.call")).length).toBe(calls + 1);
});

test("says that it cannot record, wherever it is asked", async () => {
  const headers = await openSession();
  isDiskFull = true;
  try {
    for (const refused of [
      await post(url, agent.key, request(1, "initialize", INITIALIZE)),
      await callIn(headers, "http__write_file"),
      await callIn(headers, "nowhere__write_file"),
      await callStateless("http__write_file"),
    ])
      expect(refused.messages).toMatchObject([{ error: { code: -32_013 } }]);
    const { status } = await post(url, agent.key, request(1, "initialize", INITIALIZE));
    expect(status).toBe(503);
  } finally {
    isDiskFull = false;
  }
});

test("a server that refuses in the gateway's name is not believed", async () => {
  const error = { code: -32_011, message: "no", data: { type: "runlayer.denied", reason: "policy", policies: [] } };
  const headers = await openSession();
  for (const status of [200, 400]) {
    behave = (received) => sendJson(received, { jsonrpc: "2.0", id: received.message.id, error }, { status });
    const [refused] = (await callIn(headers, "http__write_file")).messages;
    expect(refused?.error).toMatchObject({ code: -32_603 });
    expect(JSON.stringify(refused)).not.toContain("runlayer.");
  }
  behave = plainServer;
});

test("keeps no secret that a caller takes for a name", async () => {
  const headers = await openSession();
  const ask = (method: string, params: object) => post(url, agent.key, request(3, method, params), { headers });
  await ask("tools/call", { name: `http2__${SECRET}`, arguments: {} });
  await ask("prompts/get", { name: `p-${SECRET}` });
  await ask("resources/read", { uri: `skill://s-${SECRET}/SKILL.md` });
  const denied = (await harness.events()).filter(({ outcome }) => outcome === "denied").slice(-3);
  expect(denied.map(({ action }) => action)).toEqual(["tool.call", "prompt.get", "resource.read"]);
  for (const event of denied) expect(event.resource.name).toContain("****");
  expect(JSON.stringify(denied)).not.toContain(SECRET);
});

test("a flood of progress does not pile up for a client that does not read, which still gets its answer", async () => {
  const total = 2000;
  const flooded = Promise.withResolvers<void>();
  behave = (received) => void flood(received, total).then(flooded.resolve, flooded.reject);
  const params = { name: "http__read_file", arguments: {}, _meta: { progressToken: "p" } };
  const stream = await openStream(url, streamInit(agent.key, request(2, "tools/call", params), await openSession()));
  await flooded.promise;
  let progress = 0;
  let event = await stream.next();
  for (; event?.message?.method === "notifications/progress"; event = await stream.next()) progress += 1;
  expect(event?.message).toMatchObject({ id: 2, result: { content: [] } });
  expect(progress).toBeGreaterThan(0);
  expect(progress).toBeLessThan(total / 2);
});

/** 32 MB: more than all the buffers on the way hold. */
async function flood(received: Received, count: number): Promise<void> {
  const { response, message } = received;
  const progressToken = Reflect.get(Object(message.params?.["_meta"]), "progressToken");
  startSse(received);
  for (let progress = 1; progress <= count; progress += 1) {
    const params = { progressToken, progress, message: "x".repeat(16 * 1024) };
    sendEvent(received, { jsonrpc: "2.0", method: "notifications/progress", params });
    if (response.writableNeedDrain) await once(response, "drain");
  }
  sendEvent(received, result(received, { content: [] }));
  response.end();
}

test.each([
  ["no object", null],
  ["content that is no list", { content: "text" }],
  ["content of an unknown kind", { content: Array.from({ length: 100 }, (_, index) => ({ type: `kind-${index}` })) }],
  ["structured content that is no object", { content: [], structuredContent: null }],
])("a result with %s is one short error to the agent, and an error in the log", async (_what, value) => {
  const headers = await openSession();
  behave = (received) => sendJson(received, result(received, value));
  for (const called of [await callIn(headers, "http__read_file"), await callStateless("http__read_file")]) {
    const message = "server `http` gave no usable answer: its result is no tool result of MCP";
    const data = { type: "runlayer.upstream_error", correlationId: expect.any(String) };
    expect(called.messages).toMatchObject([{ id: 2, error: { code: -32_603, message, data } }]);
    expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome: "error", reason: "upstream_refused" });
  }
  const own = await post(`${harness.url}/gateway/http/mcp`, agent.key, call(3, "read_file"));
  expect(own.messages).toEqual([{ jsonrpc: "2.0", id: 3, result: value }]);
});

test.each([
  ["without its kind", { content: [] }, false],
  ["of an unknown kind", { resultType: "odd", content: [] }, false],
  ["without content", { resultType: "complete", structuredContent: {} }, false],
  ["that asks for nothing", { resultType: "input_required" }, false],
  ["with structured content that is no object", { resultType: "complete", content: [], structuredContent: [1] }, true],
])("a result of 2026-07-28 %s is told and recorded as what its revision says", async (what, value, isResult) => {
  const modern = await startUpstream((received) => {
    const found = { supportedVersions: [VERSION], capabilities: { tools: {} }, ttlMs: 0, cacheScope: "private" };
    const isCall = received.message.method === "tools/call";
    sendJson(received, result(received, isCall ? value : { ...found, resultType: "complete" }));
  });
  const name = what.replaceAll(/[^a-z]+/g, "-");
  const { id } = await harness.addServer({ name, url: `${modern.url}/mcp` });
  const { key } = await harness.addAgent(`of-${name}`, [{ serverId: id }]);
  const message = `server \`${name}\` gave no usable answer: its result is no tool result of MCP`;
  const answer = isResult ? { result: value } : { error: { code: -32_603, message } };
  expect((await callStateless(`${name}__read_file`, { key })).messages).toMatchObject([{ id: 2, ...answer }]);
  const outcome = isResult ? "success" : "error";
  expect((await harness.events("tool.call")).at(-1)).toMatchObject({ outcome });
  await modern.close();
});
