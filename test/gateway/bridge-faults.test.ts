import { afterAll, beforeAll, expect, test } from "vitest";
import { createStdioSupervisor, type StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, post, request, type Posted } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let alice: AgentKey;
let bob: AgentKey;

beforeAll(async () => {
  place = makeStdioPlace();
  supervisor = createStdioSupervisor({
    user: place.user,
    hiddenPaths: [],
    maskText: (text) => text,
    log: () => undefined,
    ladder: { stdinCloseMs: 100, sigtermMs: 100 },
  });
  harness = await startHarness({ startChild: (spec) => supervisor.start(spec) });
  const stdio = (name: string, shareable: boolean) =>
    harness.addServer(
      { name, transport: "stdio", command: place.node, cwd: place.folder, shareable },
      { args: [place.script] },
    );
  const servers = [await stdio("own", false), await stdio("shared", true)];
  const assigned = servers.map(({ id }) => ({ serverId: id }));
  alice = await harness.addAgent("alice", assigned);
  bob = await harness.addAgent("bob", assigned);
}, 60_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  place.remove();
});

/** One agent's session with a server. */
interface Session {
  say(message: object): Promise<Posted>;
  end(): Promise<unknown>;
}

async function open(server: string, { key }: AgentKey): Promise<Session> {
  const url = `${harness.url}/gateway/${server}/mcp`;
  const params = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };
  const opened = await post(url, key, request("open", "initialize", params));
  expect(opened.messages[0]?.result, opened.text).toBeDefined();
  const headers = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-06-18",
  };
  return {
    say: (message) => post(url, key, message, { headers }),
    end: () => fetch(url, { method: "DELETE", headers: { ...headers, authorization: `Bearer ${key}` } }),
  };
}

test.each(["own", "shared"])("gives up a child (%s) that closes its output and lives on", async (server) => {
  const session = await open(server, alice);
  const childrenBefore = supervisor.count();
  const [answer] = (await session.say(call(1, "close-output"))).messages;
  expect(answer).toMatchObject({ id: 1, error: { data: { type: "runlayer.upstream_error" } } });
  const event = (await harness.events("tool.call")).at(-1);
  expect(event).toMatchObject({ outcome: "error", reason: "upstream_reset" });
  expect((await session.say(call(2, "env"))).status).toBe(404);
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(childrenBefore - 1);
  const again = await open(server, bob);
  expect((await again.say(call(1, "env"))).messages[0]?.result).toBeDefined();
  await again.end();
});

test.each(["own", "shared"])("gives up a child (%s) that closes its input and lives on", async (server) => {
  const session = await open(server, alice);
  const childrenBefore = supervisor.count();
  await session.say(call(1, "close-input"));
  const [answer] = (await session.say(call(2, "env"))).messages;
  expect(answer).toMatchObject({ id: 2, error: { data: { type: "runlayer.upstream_error" } } });
  expect((await session.say(call(3, "env"))).status).toBe(404);
  await expect.poll(() => supervisor.count(), { timeout: 10_000 }).toBe(childrenBefore - 1);
});
