import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { rawRequest } from "./raw-request.ts";
import { plainServer, startUpstream } from "./upstream.ts";

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const INITIALIZATION = request(1, "initialize", INITIALIZE);
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
const LISTEN = request(1, "subscriptions/listen", { notifications: { toolsListChanged: true }, _meta: META });
const stack = new AsyncDisposableStack();

let start: (wrapAudit?: (log: AuditLog) => AuditLog) => Promise<Harness>;
let harness: Harness;
let agent: AgentKey;
let onOpened: () => void | Promise<void> = () => undefined;

beforeAll(async () => {
  const nothing = () => Promise.reject(new Error("no skill runs here"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  start = (wrapAudit = (log) => log) => startHarness({ aggregate: { skills, version: "1.0.0" }, wrapAudit });
  harness = await start(tellingWhatOpened);
  agent = await harness.addAgent("a", []);
});

afterAll(async () => {
  await harness.close();
  await stack.disposeAsync();
});

/** The real log; what a test does in `onOpened` happens when a session is on record and the gateway does not know yet. */
function tellingWhatOpened(log: AuditLog): AuditLog {
  const record: AuditLog["record"] = async (event) => {
    await log.record(event);
    if (event.action === "session.open") await onOpened();
  };
  return new Proxy(log, {
    get(target, name) {
      if (name === "record") return record;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const revoke = (keyId: string): Promise<void> =>
  harness.store.transaction(async (tx) => {
    const key = await tx.apiKeys.get(keyId);
    await tx.apiKeys.save({ ...key, revoked: { at: Date.now(), reason: null }, version: key.version + 1 });
  });

const open = () => post(`${harness.url}/gateway/mcp`, agent.key, INITIALIZATION);

test("a session whose client left while it opened ends at once", async () => {
  const socket = rawRequest(`${harness.url}/gateway/mcp`, INITIALIZATION, { key: agent.key });
  const opened = Promise.withResolvers<void>();
  onOpened = async () => {
    expect(harness.gateway.sessions()).toHaveLength(1);
    socket.destroy();
    await expect.poll(() => harness.gateway.aggregate?.openCalls).toBe(0);
    opened.resolve();
  };
  await opened.promise;
  await expect.poll(() => harness.gateway.sessions()).toEqual([]);
  expect((await harness.events("session.end")).at(-1)).toMatchObject({ details: { reason: "client" } });
});

test.each([
  ["session", INITIALIZATION, {}],
  ["stream", LISTEN, { "mcp-protocol-version": VERSION, "mcp-method": "subscriptions/listen" }],
])("opens no %s for a key that is revoked while the message is on its way", async (what, message, headers) => {
  const { key, keyId } = await harness.addAgent(`late-${what}`, []);
  const bytes = JSON.stringify(message).length + 1;
  const socket = rawRequest(`${harness.url}/gateway/mcp`, message, {
    key,
    headers: { ...headers, "content-length": String(bytes) },
  });
  await expect.poll(() => harness.gateway.aggregate?.openCalls).toBe(1);
  await revoke(keyId);
  socket.write(" ");
  const [head] = await once(socket, "data");
  expect(String(head)).toMatch(/^HTTP\/1\.1 401 /);
  socket.destroy();
});

test.each([
  [
    "an administrator ends while it opens",
    () => harness.gateway.sessions().forEach(({ id }) => harness.gateway.endSession(id)),
  ],
  ["the gateway stops while it opens", () => void harness.gateway.drain(0)],
])("a session that %s is refused as unavailable, not as unknown", async (_what, end) => {
  onOpened = end;
  const refused = await open();
  expect(refused.status).toBe(503);
  expect(refused.messages).toMatchObject([{ error: { code: -32_013 } }]);
  expect(harness.gateway.sessions()).toEqual([]);
});

test.each([
  ["of a session", false],
  ["of a stateless client", true],
])(
  "a call %s that is cut off when the gateway stops is answered, with what is known of its effect",
  async (_what, isStateless) => {
    const stopping = await start();
    const sent = Promise.withResolvers<void>();
    const upstream = await startUpstream((received) =>
      received.message.method === "tools/call" ? sent.resolve() : plainServer(received),
    );
    const server = await stopping.addServer({ name: "http", url: `${upstream.url}/mcp` });
    const { key } = await stopping.addAgent("a", [{ serverId: server.id }]);
    const url = `${stopping.url}/gateway/mcp`;
    const opened = isStateless ? undefined : await post(url, key, INITIALIZATION);
    const headers = isStateless
      ? { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": "http__read_file" }
      : { "mcp-session-id": opened?.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
    const params = { name: "http__read_file", arguments: {}, ...(isStateless ? { _meta: META } : {}) };
    const called = post(url, key, request(2, "tools/call", params), { headers });
    await sent.promise;
    await stopping.gateway.drain(0);
    expect((await called).messages).toMatchObject([{ id: 2, error: { code: -32_013 } }]);
    expect((await called).text).toContain("its effect is unknown");
    await stopping.close();
    await upstream.close();
  },
);
