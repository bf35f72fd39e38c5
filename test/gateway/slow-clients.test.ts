import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { call, post, request } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { rawRequest } from "./raw-request.ts";
import { startSseUpstream } from "./sse-upstream.ts";
import type { TestUpstream } from "./upstream.ts";
import { superviseIn } from "./supervisor.ts";

const OPEN = { protocolVersion: "2025-06-18", capabilities: {}, clientInfo: { name: "t", version: "1" } };
const FILE_BYTES = 1024 * 1024;

let place: StdioPlace;
let supervisor: StdioSupervisor;
let harness: Harness;
let legacy: TestUpstream;
let agent: AgentKey;
let file: string;

beforeAll(async () => {
  place = makeStdioPlace();
  file = join(place.folder, "large.txt");
  writeFileSync(file, "x".repeat(FILE_BYTES), { mode: 0o644 });
  supervisor = superviseIn(place);
  harness = await startHarness({ startChild: (spec) => supervisor.start(spec) });
  legacy = await startSseUpstream();
  const stdio = { transport: "stdio", command: place.node, cwd: place.folder } as const;
  const servers = [
    await harness.addServer({ name: "own", ...stdio }, { args: [place.script] }),
    await harness.addServer({ name: "shared", ...stdio, shareable: true }, { args: [place.script] }),
    await harness.addServer({ name: "legacy", transport: "sse", url: `${legacy.url}/sse` }),
  ];
  agent = await harness.addAgent(
    "a",
    servers.map(({ id }) => ({ serverId: id })),
  );
}, 60_000);

afterAll(async () => {
  await harness.close();
  await supervisor.close();
  await legacy.close();
  place.remove();
});

const KINDS = ["own", "shared", "legacy"] as const;

test.each(KINDS)("goes on with a session after an answer that is larger than the queue (%s)", async (name) => {
  const session = await open(name);
  for (const id of [2, 3]) {
    const answer = await use(name, session, call(id, "read", { path: file }));
    expect(answer.messages.at(-1)?.id).toBe(id);
    expect(answer.text.length).toBeGreaterThan(FILE_BYTES);
  }
  expect((await use(name, session, call(4, "env"))).messages).toMatchObject([{ id: 4, result: {} }]);
});

test.each(KINDS)("goes on with a session whose client left a call without reading it (%s)", async (name) => {
  const session = await open(name);
  const params = { name: "chatter", arguments: {}, _meta: { progressToken: 1 } };
  const socket = rawRequest(urlOf(name), request(2, "tools/call", params), { key: agent.key, headers: session });
  socket.pause();
  await sleep(1000);
  expect(harness.gateway.liveExchanges).toBe(1);
  socket.destroy();
  await expect.poll(() => harness.gateway.liveExchanges, { timeout: 10_000 }).toBe(0);
  expect((await use(name, session, call(3, "env"))).messages).toMatchObject([{ id: 3, result: {} }]);
});

async function open(name: string): Promise<Record<string, string>> {
  const opened = await use(name, {}, request(1, "initialize", OPEN));
  expect(opened.messages[0]?.result).toBeDefined();
  const session = {
    "mcp-session-id": opened.headers.get("mcp-session-id") ?? "",
    "mcp-protocol-version": "2025-06-18",
  };
  await use(name, session, { jsonrpc: "2.0", method: "notifications/initialized" });
  return session;
}

function use(name: string, headers: Record<string, string>, message: object) {
  const signal = AbortSignal.timeout(15_000);
  return post(urlOf(name), agent.key, message, { headers, signal });
}

function urlOf(name: string): string {
  return `${harness.url}/gateway/${name}/mcp`;
}
