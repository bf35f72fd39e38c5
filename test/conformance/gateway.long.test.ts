import { cpSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startLegacyReference, startModernReference } from "../fixtures/conformance/reference-http.ts";
import type { RunningServer } from "../fixtures/mcp/http-servers.ts";
import { makeStdioPlace, type StdioPlace } from "../fixtures/mcp/stdio-place.ts";
import { startAgentFront } from "../harness/agent-front.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { requiredScenarios, runSuite, type SuiteResult } from "./run-suite.ts";

const REFERENCE = join(import.meta.dirname, "../fixtures/conformance");

let app: TestApp;
let place: StdioPlace;
let legacy: RunningServer;
let modern: RunningServer;

beforeAll(async () => {
  place = makeStdioPlace(["@modelcontextprotocol/server", "zod"]);
  cpSync(REFERENCE, join(place.folder, "conformance"), { recursive: true });
  legacy = await startLegacyReference();
  modern = await startModernReference();
  app = await startTestApp({ RUNLAYER_STDIO_USER: place.user, RUNLAYER_LOG_LEVEL: "warn" });
  await register("legacy", { transport: "streamable-http", url: `${legacy.origin}/mcp`, allowPrivateNetwork: true });
  await register("modern", { transport: "streamable-http", url: `${modern.origin}/mcp`, allowPrivateNetwork: true });
  const script = join(place.folder, "conformance/reference-stdio.ts");
  await register("stdio", { transport: "stdio", command: place.node, args: [script], confirm: true });
});

afterAll(async () => {
  await app.close();
  await legacy.close();
  await modern.close();
  place.remove();
});

async function register(name: string, input: Record<string, unknown>): Promise<void> {
  const reply = await app.rest("POST /servers", { name, ...input });
  expect(at(reply.body, "discovery", "state"), JSON.stringify(reply.body)).toBe("ok");
}

function expectConformant(result: SuiteResult, revision: string): void {
  expect(result.failed, result.output).toEqual([]);
  expect(result.passed.toSorted(), result.output).toEqual(requiredScenarios(revision).toSorted());
  expect(result.exitCode).toBe(0);
}

test.each([
  ["2025-11-25", 30],
  ["2026-07-28", 37],
])("%s requires %i scenarios", (revision, count) => {
  expect(requiredScenarios(revision)).toHaveLength(count);
});

test("the reference server itself meets both revisions", async () => {
  expectConformant(await runSuite(`${legacy.origin}/mcp`, "2025-11-25"), "2025-11-25");
  expectConformant(await runSuite(`${modern.origin}/mcp`, "2026-07-28"), "2026-07-28");
});

test.each([
  ["legacy", "2025-11-25"],
  ["stdio", "2025-11-25"],
  ["modern", "2026-07-28"],
])("server %s meets %s through the gateway", async (server, revision) => {
  const reply = await app.rest("POST /agents", { name: `suite-${server}`, type: "conformance", servers: [server] });
  const front = await startAgentFront(`${app.url}/gateway/${server}/mcp`, textAt(reply.body, "key"));
  try {
    expectConformant(await runSuite(front.url, revision), revision);
  } finally {
    await front.close();
  }
});
