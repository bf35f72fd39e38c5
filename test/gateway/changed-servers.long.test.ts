import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Server } from "../../src/domain/server.ts";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, openStream, post, request, streamInit } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { startSseUpstream } from "./sse-upstream.ts";
import type { TestUpstream } from "./upstream.ts";
import { superviseIn } from "./supervisor.ts";

const DRAIN_MS = 1_500;
const OPEN = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };

let place: StdioPlace;
let supervisor: StdioSupervisor;
let legacy: TestUpstream;
let harness: Harness;
let agent: AgentKey;
let servers: readonly Server[];

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = superviseIn(place);
  legacy = await startSseUpstream();
  harness = await startHarness({ startChild: (spec) => supervisor.start(spec), bridgeDrainMs: DRAIN_MS });
  const stdio = (name: string, shareable: boolean) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder, shareable },
      { args: [place.script] },
    );
  servers = [
    await stdio("own", false),
    await stdio("shared", true),
    await stdio("doomed", true),
    await harness.addServer({ name: "legacy", transport: "sse", url: `${legacy.url}/sse` }, { headers: { mark: "a" } }),
  ];
  agent = await harness.addAgent(
    "a",
    servers.map(({ id }) => ({ serverId: id })),
  );
}, 60_000);

afterEach(async () => {
  for (const { id } of harness.gateway.sessions()) harness.gateway.endSession(id);
});

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await legacy.close();
  place.remove();
});

test.each(["disabled", "quarantined"] as const)("stops the child of a shareable server that is %s", async (status) => {
  const session = await open("shared");
  expect(await pidOf(session)).toBeGreaterThan(0);
  await save("shared", { status });
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(0);
  await save("shared", { status: "active" });
  expect((await use(session, call(3, "env"))).status).toBe(404);
  expect(await pidOf(await open("shared"))).toBeGreaterThan(0);
});

test("stops the child of a shareable server that is deleted, though nobody uses it", async () => {
  const before = supervisor.count();
  const session = await open("doomed");
  await fetch(session.url, { method: "DELETE", headers: { ...session.headers, authorization: `Bearer ${agent.key}` } });
  expect(supervisor.count()).toBe(before + 1);
  await harness.store.transaction((tx) => tx.servers.delete(serverOf("doomed").id));
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(before);
});

test.each(["own", "shared"])(
  "ends what a child does that was started otherwise than its server is now (%s)",
  async (name) => {
    const session = await open(name);
    const pid = await pidOf(session);
    const standing = await openStream(session.url, streamInit(agent.key, undefined, session.headers));
    const waiting = await openStream(session.url, streamInit(agent.key, call(3, "wait"), session.headers));
    await harness.setSecrets(serverOf(name), { args: [place.script], env: { MARK: "new" } });
    expect((await waiting.next())?.message?.error?.message).toContain("the server was changed");
    expect(await standing.next()).toBeUndefined();
    expect((await use(session, call(4, "env"))).status).toBe(404);
    const again = await open(name);
    expect((await use(again, call(5, "env"))).text).toContain(String.raw`\"MARK\":\"new\"`);
    expect(await pidOf(again)).not.toBe(pid);
    await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  },
);

test("ends the stream of a legacy server that is reached otherwise now", async () => {
  const session = await open("legacy");
  await harness.setSecrets(serverOf("legacy"), { headers: { mark: "b" } });
  expect((await use(session, call(2, "env"))).status).toBe(404);
  expect((await use(await open("legacy"), call(2, "env"))).status).toBe(200);
  expect(legacy.received.at(-1)?.headers["mark"]).toBe("b");
});

test.each([
  ["own", true],
  ["shared", false],
])("no call fails because a credential is rotated (%s)", async (name, staysToItsEnd) => {
  const same = { args: [place.script], env: { MARK: "same" } };
  await harness.setSecrets(serverOf(name), same);
  const session = await open(name);
  const pid = await pidOf(session);
  const credential = { type: "env", values: { TOKEN: `rotated-${name}` } } as const;
  await harness.setSecrets(serverOf(name), { ...same, credential });
  expect(await pidOf(session)).toBe(pid);
  const fresh = await open(name);
  expect(await pidOf(fresh)).not.toBe(pid);
  expect((await use(fresh, call(3, "env"))).text).toContain("TOKEN");
  if (staysToItsEnd) {
    await sleep(DRAIN_MS + 500);
    return expect(await pidOf(session)).toBe(pid);
  }
  await expect.poll(() => isAlive(pid), { timeout: 10_000 }).toBe(false);
  expect((await use(session, call(4, "env"))).status).toBe(404);
  expect((await use(fresh, call(5, "env"))).status).toBe(200);
});

test.each(["own", "shared"])("leaves a child alone whose server is only described otherwise (%s)", async (name) => {
  const session = await open(name);
  const pid = await pidOf(session);
  await save(name, { description: "other", groups: [], owner: null, risk: "high" });
  await harness.store.transaction((tx) =>
    tx.servers.saveHealth(serverOf(name).id, { state: "ok", checkedAt: 1, latencyMs: 1, error: null }),
  );
  expect(await pidOf(session)).toBe(pid);
});

interface Session {
  readonly url: string;
  readonly headers: Record<string, string>;
}

async function open(name: string): Promise<Session> {
  const url = `${harness.url}/gateway/${name}/mcp`;
  const opened = await post(url, agent.key, request(1, "initialize", OPEN));
  expect(opened.messages[0]?.result).toBeDefined();
  return { url, headers: { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "" } };
}

const use = ({ url, headers }: Session, message: object) => post(url, agent.key, message, { headers });

async function pidOf(session: Session): Promise<number> {
  return Number(/\\"pid\\":(\d+)/.exec((await use(session, call(2, "env"))).text)?.[1]);
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function serverOf(name: string): Server {
  const server = servers.find((one) => one.name === name);
  if (server === undefined) throw new Error(`no server ${name}`);
  return server;
}

async function save(name: string, patch: Partial<Server>): Promise<void> {
  await harness.store.transaction(async (tx) => {
    const server = await tx.servers.get(name);
    await tx.servers.save({ ...server, ...patch, version: server.version + 1 });
  });
}
