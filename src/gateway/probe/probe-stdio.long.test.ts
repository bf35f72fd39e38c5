import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeStdioPlace, type StdioPlace } from "../../../test/fixtures/mcp/stdio-place.ts";
import { systemClock } from "../../lib/clock.ts";
import { createEgress } from "../../lib/egress/egress.ts";
import { createCredentialSource } from "../credentials.ts";
import { createStdioSupervisor, type StdioSupervisor } from "../stdio/supervisor.ts";
import { createUpstreamProbe, type UpstreamProbe } from "./probe.ts";
import type { ProbeTarget } from "./target.ts";

const PACKAGES = ["everything", "filesystem", "memory"].map((name) => `@modelcontextprotocol/server-${name}`);
const egress = createEgress({ ownListeners: () => [] });
const clientInfo = { name: "runlayer", version: "0.0.0" };
let place: StdioPlace;
let supervisor: StdioSupervisor;
let probe: UpstreamProbe;
const logged: string[] = [];

beforeAll(() => {
  place = makeStdioPlace(PACKAGES);
  supervisor = createStdioSupervisor({
    user: place.user,
    hiddenPaths: [],
    maskText: (text) => text,
    log: ({ label, text }) => void logged.push(`${label}: ${text}`),
    ladder: { stdinCloseMs: 300, sigtermMs: 300 },
  });
  const credentials = createCredentialSource({ egress, clock: systemClock });
  probe = createUpstreamProbe({ egress, credentials, clientInfo, stdio: supervisor });
});

afterAll(async () => {
  await supervisor.close();
  await egress.close();
  place.remove();
});

function target(args: readonly string[], more: Partial<ProbeTarget> = {}): ProbeTarget {
  return {
    transport: "stdio",
    command: place.node,
    args,
    headers: {},
    credential: { type: "none" },
    env: {},
    allowPrivateNetwork: false,
    ...more,
  };
}

test.each([
  ["good", "stdio-sample"],
  ["banner", "stdio-sample"],
  ["exit-on-unknown", "stdio-sample"],
])("discovers a server that is %s", async (behaviour, name) => {
  const found = await probe.discover(target([place.script, behaviour]), { timeoutMs: 10_000 });
  expect(found).toMatchObject({ state: "ok", protocolVersion: "2025-06-18", serverInfo: { name } });
  expect(found.tools.map((tool) => tool.name)).toEqual(["env", "read"]);
});

test.each([
  ["everything", []],
  ["filesystem", ["sample"]],
  ["memory", []],
])("discovers npm's server-%s", async (name, folders) => {
  const script = join(place.folder, `node_modules/@modelcontextprotocol/server-${name}/dist/index.js`);
  const args = folders.map((folder) => join(place.folder, folder));
  for (const folder of args) mkdirSync(folder);
  for (const folder of args) chmodSync(folder, 0o755);
  const found = await probe.discover(target([script, ...args]), { timeoutMs: 15_000 });
  expect(found).toMatchObject({ state: "ok" });
  expect(found.tools.length).toBeGreaterThan(5);
});

test.each([
  ["exit", "unreachable", 3_000],
  ["silent", "unreachable", 3_000],
  ["stubborn", "unreachable", 3_000],
  // Those that answer are given what a busy machine takes for it.
  ["garbage", "not_mcp", 10_000],
  ["huge-line", "not_mcp", 10_000],
  ["flood", "ok", 10_000],
] as const)("a server that does %s is %s in time, and none stays", async (behaviour, state, timeoutMs) => {
  const startedAt = performance.now();
  const found = await probe.discover(target([place.script, behaviour]), { timeoutMs });
  expect(found).toMatchObject({ state });
  expect(performance.now() - startedAt).toBeLessThan(timeoutMs + 1_000);
  await expect.poll(() => supervisor.count(), { timeout: 5000 }).toBe(0);
});

test("verifies a credential in the environment: asked for, and not", async () => {
  const credential = { type: "env", values: { TOKEN: "right" } } as const;
  const asks = `test "$TOKEN" = right && exec "${place.node}" "${place.script}"`;
  const asking = target(["-c", asks], { command: "sh", credential });
  expect(await probe.verifyCredential(asking, { timeoutMs: 5000 })).toEqual({ verified: true });
  const wrong = { ...asking, credential: { type: "env", values: { TOKEN: "wrong" } } as const };
  expect(await probe.verifyCredential(wrong, { timeoutMs: 5000 })).toMatchObject({ verified: false });
  const open = target([place.script], { credential });
  expect(await probe.verifyCredential(open, { timeoutMs: 5000 })).toEqual({ verified: "not_challenged" });
});

test("a command that is not there is said to be so, with its last words apart from ours", async () => {
  const found = await probe.discover(target([], { command: "no-such-command-here" }), { timeoutMs: 5000 });
  expect(found).toMatchObject({ state: "unreachable", error: expect.stringContaining("`command`") });
  expect(found.lastWords).toEqual([expect.stringContaining("no-such-command-here")]);
});

test("what a command says before it fails is in the log under its server's name, and the error says so", async () => {
  const failing = target(["-c", "echo no license >&2; exit 1"], { command: "sh" });
  const found = await probe.discover(failing, { timeoutMs: 5000, name: "licensed" });
  expect(found).toMatchObject({ state: "unreachable", error: expect.stringContaining("log has its standard error") });
  expect(logged).toContain("licensed: no license");
});

test("a wrong folder is not contacted", async () => {
  const found = await probe.discover(target([], { cwd: "relative" }), { timeoutMs: 5000 });
  expect(found).toMatchObject({ state: "not_contacted", error: expect.stringContaining("`cwd`") });
});

test("without a supervisor nothing is started", async () => {
  const credentials = createCredentialSource({ egress, clock: systemClock });
  const found = await createUpstreamProbe({ egress, credentials, clientInfo }).discover(target([]), { timeoutMs: 500 });
  expect(found.state).toBe("not_contacted");
});
