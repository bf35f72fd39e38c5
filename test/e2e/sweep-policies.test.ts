import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

/* Who goes around the gateway goes around its policies: their counters say so. */

let app: TestApp;

beforeEach(async () => {
  app = await startTestApp();
  for (const name of ["tools", "other"]) {
    const url = `https://${name}.example/mcp`;
    const { status } = await app.rest("POST /servers", { name, transport: "streamable-http", url });
    expect(status).toBe(200);
  }
});

afterEach(() => app.close());

async function addPolicy(name: string, policy: object): Promise<void> {
  const everyone = { effect: "deny", principals: { everyone: true }, actions: ["call_tool"], confirm: true };
  const { status, body } = await app.rest("POST /policies", { name, ...everyone, ...policy });
  expect(status, JSON.stringify(body)).toBe(200);
}

async function scan(url: string, input: object = {}) {
  mkdirSync(join(app.home, ".cursor"), { recursive: true });
  writeFileSync(join(app.home, ".cursor/mcp.json"), JSON.stringify({ mcpServers: { tools: { url } } }));
  const { status, body } = await app.rest("POST /scans", { targets: ["host"], ...input });
  expect(status, JSON.stringify(body)).toBe(200);
  return textAt(body, "scan", "id");
}

async function violations(): Promise<Record<string, unknown>> {
  const { body } = await app.rest("GET /policies");
  const items = at(body, "items");
  if (!Array.isArray(items)) throw new Error(JSON.stringify(body));
  return Object.fromEntries(items.map((item) => [textAt(item, "name"), at(item, "violations", "total")]));
}

const STRAIGHT = "https://tools.example/mcp";

test("a bypass counts once on each policy that governs the server, and on no other", async () => {
  await addPolicy("on-server", { resources: { servers: ["tools"] } });
  await addPolicy("on-tool", { resources: { tools: ["tools/delete_*"] }, effect: "require_approval" });
  await addPolicy("watching", { resources: { everything: true }, mode: "monitor" });
  await addPolicy("spared", { resources: { everything: true, except: { servers: ["tools"] } } });
  await addPolicy("elsewhere", { resources: { servers: ["other"] } });
  await addPolicy("granting", { resources: { servers: ["tools"] }, effect: "allow" });
  await addPolicy("switched-off", { resources: { servers: ["tools"] }, mode: "disabled" });
  const once = {
    "on-server": 1,
    "on-tool": 1,
    watching: 1,
    spared: 0,
    elsewhere: 0,
    granting: 0,
    "switched-off": 0,
  };
  await scan(STRAIGHT);
  expect(await violations()).toEqual(once);
  await scan(STRAIGHT);
  expect(await violations()).toEqual(once);
  await app.restart();
  expect(await violations()).toEqual(once);

  const { body } = await app.rest("GET /policies/on-server");
  expect(at(body, "policy", "violations")).toMatchObject({
    last24h: 1,
    byResource: [{ name: "tools", violations: 1 }],
  });
  const events = await app.rest("GET /audit-events", { policy: "on-server" });
  expect(at(events.body, "items")).toMatchObject([
    { action: "finding.open", resource: { type: "server", name: "tools" }, details: { code: "BYPASS" } },
  ]);
});

test("a bypass that ended and came back counts again, also in a scan that nobody waits for", async () => {
  await addPolicy("on-server", { resources: { servers: ["tools"] } });
  await scan(STRAIGHT);
  await scan(`${app.url}/gateway/tools/mcp`);
  expect(await violations()).toEqual({ "on-server": 1 });
  const id = await scan(STRAIGHT, { wait: false });
  const status = async () => at((await app.rest("GET /scan-results", { scan: id })).body, "scan", "status");
  await expect.poll(status).toBe("complete");
  expect(await violations()).toEqual({ "on-server": 2 });
});
