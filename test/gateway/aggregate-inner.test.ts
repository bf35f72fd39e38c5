import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { openSkillRunner } from "../../src/app/skill-runner.ts";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import { createStdioSupervisor, type StdioSupervisor } from "../../src/gateway/stdio/supervisor.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { AppError } from "../../src/lib/errors.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { post, request, type Posted } from "./client.ts";
import { startHarness, type AgentKey, type Harness } from "./harness.ts";
import { plainServer, sendJson, startUpstream, type Received, type TestUpstream } from "./upstream.ts";

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };
const VERSION = "2026-07-28";
const META = {
  "io.modelcontextprotocol/protocolVersion": VERSION,
  "io.modelcontextprotocol/clientCapabilities": {},
  "io.modelcontextprotocol/clientInfo": { name: "test", version: "1" },
};
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
  supervisor = createStdioSupervisor({
    user: place.user,
    hiddenPaths: [],
    maskText: (text) => text,
    log: () => undefined,
    ladder: { stdinCloseMs: 300, sigtermMs: 300 },
  });
  upstream = await startUpstream((received) =>
    received.message.method === "tools/call" ? behave(received) : plainServer(received),
  );
  const nothing = () => Promise.reject(new Error("no skill runs here"));
  const skills = openSkillRunner({ clock: systemClock, stack, toolCaller: { callTool: nothing, recheck: nothing } });
  harness = await startHarness({
    aggregate: { skills, version: "1.0.0" },
    startChild: (spec) => supervisor.start(spec),
    wrapAudit: failingWhenFull,
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

const callStateless = (name: string, signal?: AbortSignal): Promise<Posted> =>
  post(url, agent.key, request(2, "tools/call", { name, arguments: {}, _meta: META }), {
    headers: { "mcp-protocol-version": VERSION, "mcp-method": "tools/call", "mcp-name": name },
    ...(signal === undefined ? {} : { signal }),
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
