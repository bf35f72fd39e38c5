import { createHmac } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { listen, startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";

let app: TestApp;
let receiver: RunningServer;
let upstream: RunningServer;
const secret = "a-webhook-secret-of-enough-characters";
const received: { body: string; signature: string }[] = [];
let failures = 0;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  receiver = await listen((request, response) => {
    void text(request).then((body) => {
      if (failures > 0) {
        failures -= 1;
        return response.writeHead(500).end();
      }
      received.push({ body, signature: String(request.headers["runlayer-signature"]) });
      return response.writeHead(204).end();
    });
  });
});

afterAll(async () => {
  await app.close();
  await upstream.close();
  await receiver.close();
});

async function notification(type: string): Promise<unknown> {
  for (let attempt = 0; attempt < 400; attempt += 1) {
    const found = received.find(({ body }) => textAt(JSON.parse(body), "type") === type);
    if (found !== undefined) {
      const [, seconds, digest] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(found.signature) ?? [];
      expect(digest).toBe(createHmac("sha256", secret).update(`${seconds}.${found.body}`).digest("hex"));
      return JSON.parse(found.body);
    }
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`nobody was told of ${type}`);
}

const settings = (more: object = {}) => ({
  notifications: { url: `${receiver.origin}/hook`, secret, allowPrivateNetwork: true, ...more },
});

test("refuses an address that is never connected to, and a short secret", async () => {
  const refused = async (more: object) => (await app.rest("PATCH /organization", settings(more))).body["code"];
  expect(await refused({ allowPrivateNetwork: false })).toBe("invalid_input");
  expect(await refused({ url: "http://169.254.169.254/" })).toBe("invalid_input");
  expect(await refused({ secret: "short" })).toBe("invalid_input");
  expect(await refused({ events: ["odd"] })).toBe("invalid_input");
});

test("tells of held calls, expiring keys and broken servers, signed, also after the receiver failed", async () => {
  failures = 1;
  const set = await app.rest("PATCH /organization", settings());
  expect(at(set.body, "organization", "settings", "notifications")).toEqual({
    url: `${receiver.origin}/hook`,
    events: ["approval.created", "finding.opened", "key.expiring", "server.unhealthy"],
    allowPrivateNetwork: true,
    secretHint: "…ters",
  });
  await app.rest("POST /api-keys", { name: "short-lived", role: "auditor", expiresInDays: 2 });
  expect(await notification("key.expiring")).toMatchObject({ data: { key: { name: "short-lived" } } });

  const server = { name: "s", transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  const tool = textAt((await app.rest("POST /servers", server)).body, "server", "tools", 0, "name");
  const made = await app.rest("POST /agents", { name: "a", type: "cursor", servers: ["s"] });
  const hold = { effect: "require_approval", principals: { everyone: true }, resources: { servers: ["s"] } };
  await app.rest("POST /policies", { name: "hold", ...hold });
  const client = await app.agentClient("s", textAt(made.body, "key"));
  const call = client.callTool({ name: tool, arguments: {} });
  const told = await notification("approval.created");
  expect(told).toMatchObject({ data: { agent: { name: "a" }, server: { name: "s" }, policies: [{ name: "hold" }] } });
  await app.rest(`POST /approvals/${textAt(told, "data", "approval", "id")}/decide`, { decision: "approve" });
  await call;

  await upstream.close();
  await client.listTools().catch(() => undefined);
  expect(await notification("server.unhealthy")).toMatchObject({ data: { server: { name: "s" } } });
  expect(JSON.stringify([received, app.log])).not.toContain(secret);
  const events = await app.rest("GET /audit-events", { action: "organization.update" });
  expect(JSON.stringify(events.body)).not.toContain(secret);
});

test("tells once of what a scan found, in one message", async () => {
  const servers = Object.fromEntries(
    Array.from({ length: 60 }, (_, index) => [
      `shadow-${index}`,
      { command: "npx", args: [`planted-server-${index}`] },
    ]),
  );
  mkdirSync(join(app.home, ".cursor"), { recursive: true });
  writeFileSync(join(app.home, ".cursor/mcp.json"), JSON.stringify({ mcpServers: servers }));
  const scan = await app.rest("POST /scans", { targets: ["host"] });
  const told = await notification("finding.opened");
  const total = at(scan.body, "summary", "new");
  expect(total).toBeGreaterThan(60);
  const id = textAt(scan.body, "scan", "id");
  expect(told).toMatchObject({ id: `finding.opened:${id}`, data: { scan: { id, targets: ["host"] }, total } });
  const findings = at(told, "data", "findings");
  expect(findings).toHaveLength(50);
  expect(findings).toContainEqual(expect.objectContaining({ kind: "shadow_server", severity: expect.any(String) }));
  // What a device calls things does not leave through a webhook.
  expect(JSON.stringify(told)).not.toContain("planted");
  const again = await app.rest("POST /scans", { targets: ["host"] });
  expect(at(again.body, "summary", "new")).toBe(0);
  await app.rest("POST /api-keys", { name: "after-the-scan", role: "auditor", expiresInDays: 3 });
  await expect.poll(() => JSON.stringify(received)).toContain("after-the-scan");
  expect(received.filter(({ body }) => body.includes("finding.opened"))).toHaveLength(1);
});

test("stops when it is switched off", async () => {
  const off = await app.rest("PATCH /organization", { notifications: null });
  expect(at(off.body, "organization", "settings", "notifications")).toBeNull();
  const before = received.length;
  await app.rest("POST /api-keys", { name: "another", role: "auditor", expiresInDays: 2 });
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(received.length).toBe(before);
});

test("tells of keys that began to expire while nobody was told", async () => {
  await app.rest("PATCH /organization", settings({ events: ["approval.created"] }));
  await app.rest("POST /api-keys", { name: "unwanted", role: "auditor", expiresInDays: 2 });
  await app.rest("PATCH /organization", settings({ events: ["key.expiring"] }));
  // The first of them was made while all was off.
  await expect.poll(() => JSON.stringify(received), { timeout: 10_000 }).toMatch(/another.*unwanted/);
});
