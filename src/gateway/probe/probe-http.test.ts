import { afterAll, beforeAll, expect, test } from "vitest";
import { startHostileServer } from "../../../test/fixtures/mcp/hostile-server.ts";
import {
  type RunningServer,
  startLegacyServer,
  startModernServer,
  startSseServer,
} from "../../../test/fixtures/mcp/http-servers.ts";
import { SAMPLE_TOOL_COUNT } from "../../../test/fixtures/mcp/sample-server.ts";
import { systemClock } from "../../lib/clock.ts";
import { createEgress } from "../../lib/egress/egress.ts";
import { createCredentialSource } from "../credentials.ts";
import { createUpstreamProbe } from "./probe.ts";
import type { ProbeTarget } from "./target.ts";

const egress = createEgress({ ownListeners: () => [] });
const credentials = createCredentialSource({ egress, clock: systemClock });
const probe = createUpstreamProbe({ egress, credentials, clientInfo: { name: "runlayer", version: "0.0.0" } });
const REQUEST = { timeoutMs: 5000 };
const BEARER = "Bearer right";
let legacy: RunningServer;
let modern: RunningServer;
let sse: RunningServer;
let guarded: RunningServer;
let hostile: RunningServer;

beforeAll(async () => {
  [legacy, modern, sse, guarded, hostile] = await Promise.all([
    startLegacyServer(),
    startModernServer(),
    startSseServer(),
    startLegacyServer({ authorization: BEARER }),
    startHostileServer(),
  ]);
});

afterAll(async () => {
  await egress.close();
  await Promise.all([legacy, modern, sse, guarded, hostile].map((server) => server.close()));
});

function target(url: string, more: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    transport: "streamable-http",
    url,
    headers: {},
    credential: { type: "none" },
    args: [],
    env: {},
    allowPrivateNetwork: true,
    ...more,
  };
}

test("does not quote a credential that no header can carry", async () => {
  const credential = { type: "bearer", token: "sesame\nopen" } as const;
  const found = await probe.discover(target(`${legacy.origin}/mcp`, { credential }), REQUEST);
  expect(found.error).toContain("cannot be sent its credential");
  expect(JSON.stringify(found)).not.toContain("sesame");
});

test("discovers a legacy server with all pages, members kept, and ends its session", async () => {
  const found = await probe.discover(target(`${legacy.origin}/mcp`, { headers: { "X-Fixed": "yes" } }), REQUEST);
  expect(found).toMatchObject({
    state: "ok",
    protocolVersion: "2025-11-25",
    serverInfo: { name: "sample", version: "1.2.3" },
    instructions: "Use the tools with care.",
    resources: [{ uri: "file:///a.txt" }, { uri: "file:///b.txt" }],
    prompts: [{ name: "greet" }],
  });
  expect(found.tools).toHaveLength(SAMPLE_TOOL_COUNT);
  expect(found.tools[0]).toMatchObject({ inputSchema: { properties: { text: { "x-note": "kept" } } } });
  expect(found.error).toBeUndefined();
  expect(found.latencyMs).toBeLessThan(5000);
  expect(legacy.seen.every(({ headers }) => headers["x-fixed"] === "yes")).toBe(true);
  expect(legacy.seen.at(-1)?.method).toBe("DELETE");
});

test("discovers a server of 2026-07-28", async () => {
  const found = await probe.discover(target(`${modern.origin}/mcp`), REQUEST);
  expect(found).toMatchObject({ state: "ok", protocolVersion: "2026-07-28", serverInfo: { name: "sample" } });
  expect(found.tools).toHaveLength(SAMPLE_TOOL_COUNT);
  expect(found.prompts).toHaveLength(1);
});

test("discovers a legacy SSE server", async () => {
  const found = await probe.discover(target(`${sse.origin}/sse`, { transport: "sse" }), REQUEST);
  expect(found).toMatchObject({ state: "ok", serverInfo: { name: "sse-sample" }, tools: [{ name: "only" }] });
});

test.each([
  ["/hang", "unreachable"],
  ["/reset", "unreachable"],
  ["/html", "not_mcp"],
  ["/garbage", "not_mcp"],
  ["/json-array", "not_mcp"],
  ["/empty", "not_mcp"],
  ["/no-content", "not_mcp"],
  ["/not-found", "not_mcp"],
  ["/unauthorized", "unauthorized"],
  ["/forbidden", "unauthorized"],
  ["/broken", "unreachable"],
  ["/bad-gateway", "unreachable"],
  ["/redirect-away", "not_mcp"],
  ["/redirect-here", "not_mcp"],
  ["/huge", "not_mcp"],
  ["/huge-stream", "not_mcp"],
  ["/endless-stream", "not_mcp"],
  ["/silent-stream", "not_mcp"],
  ["/json-as-stream", "not_mcp"],
  ["/stream-as-json", "not_mcp"],
  ["/wrong-id", "not_mcp"],
  ["/old-revision", "not_mcp"],
  ["/endless-pages", "not_mcp"],
  ["/same-cursor", "not_mcp"],
  ["/many-tools", "not_mcp"],
  ["/no-list", "not_mcp"],
  ["/list-hangs", "unreachable"],
  ["/list-unauthorized", "unauthorized"],
  ["/list-huge", "not_mcp"],
])("%s is %s, within its time and memory", async (path, state) => {
  const before = process.memoryUsage().rss;
  // Ended by the number of its pages, which takes as long as the machine likes.
  const timeoutMs = path === "/endless-pages" ? 10_000 : 800;
  const startedAt = performance.now();
  const found = await probe.discover(target(`${hostile.origin}${path}`), { timeoutMs });
  expect(found).toMatchObject({ state, tools: [], resources: [], prompts: [] });
  expect(found.error).toMatch(/^[a-z`]/);
  expect(performance.now() - startedAt).toBeLessThan(timeoutMs + 1700);
  expect(process.memoryUsage().rss - before).toBeLessThan(120 * 1024 * 1024);
});

test("the same endpoints under the SSE transport end in time too", async () => {
  for (const path of ["/hang", "/html", "/endless-stream", "/huge-stream", "/unauthorized", "/redirect-away"]) {
    const startedAt = performance.now();
    const sought = target(`${hostile.origin}${path}`, { transport: "sse" });
    const found = await probe.discover(sought, { timeoutMs: 500 });
    expect(found.state, path).not.toBe("ok");
    expect(performance.now() - startedAt, path).toBeLessThan(2000);
  }
});

test("leaves out what is malformed, doubled or too deep, and says so", async () => {
  const malformed = await probe.discover(target(`${hostile.origin}/malformed-tools`), REQUEST);
  expect(malformed).toMatchObject({ state: "ok", tools: [{ name: "good" }] });
  expect(malformed.error).toMatch(/^5 list items/);
  const deep = await probe.discover(target(`${hostile.origin}/deep`), REQUEST);
  expect(deep.tools.map((tool) => tool.name)).toEqual(["ok"]);
});

test("a refused address is not contacted, and the message names the fix", async () => {
  const found = await probe.discover(target(`${legacy.origin}/mcp`, { allowPrivateNetwork: false }), REQUEST);
  expect(found.state).toBe("not_contacted");
  expect(found.error).toMatch(/allowPrivateNetwork/);
  const metadata = await probe.discover(target("http://169.254.169.254/mcp"), REQUEST);
  expect(metadata.state).toBe("not_contacted");
});

test("nothing listening is unreachable", async () => {
  const found = await probe.discover(target("http://127.0.0.1:1/mcp"), REQUEST);
  expect(found).toMatchObject({ state: "unreachable", error: "the server fails: ECONNREFUSED, nothing listens there" });
});

test("sends the credential to the server, and a redirect never carries it on", async () => {
  const url = `${guarded.origin}/mcp`;
  expect((await probe.discover(target(url), REQUEST)).state).toBe("unauthorized");
  const credential = { type: "bearer", token: "right" } as const;
  expect((await probe.discover(target(url, { credential }), REQUEST)).state).toBe("ok");
});

test("verifies a credential: right, wrong, and never asked for", async () => {
  const url = `${guarded.origin}/mcp`;
  const right = { type: "bearer", token: "right" } as const;
  const wrong = { type: "bearer", token: "wrong" } as const;
  expect(await probe.verifyCredential(target(url, { credential: right }), REQUEST)).toEqual({ verified: true });
  expect(await probe.verifyCredential(target(url, { credential: wrong }), REQUEST)).toMatchObject({
    verified: false,
    state: "unauthorized",
  });
  expect(await probe.verifyCredential(target(`${legacy.origin}/mcp`, { credential: right }), REQUEST)).toEqual({
    verified: "not_challenged",
  });
});

test("an abort by the caller rejects at once", async () => {
  const abort = new AbortController();
  const running = probe.discover(target(`${hostile.origin}/hang`), { timeoutMs: 10_000, signal: abort.signal });
  setTimeout(() => abort.abort(), 100);
  const startedAt = performance.now();
  await expect(running).rejects.toThrow();
  expect(performance.now() - startedAt).toBeLessThan(1000);
});
