import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";

/* The registry target: drift and neglect of what is registered. */

let app: TestApp;
let upstream: RunningServer;

beforeEach(async () => {
  app = await startTestApp();
  upstream = await startLegacyServer();
  const server = { transport: "streamable-http", url: `${upstream.origin}/mcp`, allowPrivateNetwork: true };
  await app.rest("POST /servers", { name: "tools", ...server });
});

afterEach(async () => {
  await upstream.close();
  await app.close();
});

async function scan() {
  const { body } = await app.rest("POST /scans", { targets: ["registry"] });
  expect(at(body, "scan", "status")).toBe("complete");
  return body;
}

async function codes(filter: object = {}): Promise<string[]> {
  const { body } = await app.rest("GET /scan-results", filter);
  const items = at(body, "items");
  if (!Array.isArray(items)) throw new Error(JSON.stringify(body));
  return items.map((item) => textAt(item, "code"));
}

test("a server that stopped is a finding, stored as its health, and resolved when it is back", async () => {
  await scan();
  expect(await codes()).not.toContain("SERVER-NOT-WORKING");
  await upstream.close();
  await scan();
  expect(await codes()).toContain("SERVER-NOT-WORKING");
  const shown = await app.rest("GET /servers/tools");
  expect(at(shown.body, "server", "health", "state")).toBe("unreachable");
  await app.rest("PATCH /servers/tools", { status: "disabled" });
  await scan();
  expect(await codes({ status: "resolved" })).toContain("SERVER-NOT-WORKING");
});

test("what was about a server ends with the server", async () => {
  await upstream.close();
  await scan();
  await app.rest("DELETE /servers/tools", { confirm: true });
  expect(at(await scan(), "summary", "resolved")).toBeGreaterThan(0);
  expect(await codes()).not.toContain("SERVER-NOT-WORKING");
});

test("a server without a policy is a finding until one covers it", async () => {
  await scan();
  expect(await codes()).toContain("SERVER-WITHOUT-POLICY");
  const policy = {
    name: "no-deletes",
    effect: "deny",
    principals: { everyone: true },
    resources: { servers: ["tools"] },
  };
  const made = await app.rest("POST /policies", { ...policy, actions: ["call_tool"], confirm: true });
  expect(made.status, JSON.stringify(made.body)).toBe(200);
  await scan();
  expect(await codes()).not.toContain("SERVER-WITHOUT-POLICY");
});

test("an agent whose owner was suspended, and a key that soon expires", async () => {
  await app.rest("POST /members", { email: "leaver@example.com", name: "Leaver", role: "member" });
  await app.rest("POST /agents", { name: "orphan", type: "cursor", owner: "leaver@example.com" });
  await app.rest("PATCH /members/leaver@example.com", { status: "suspended" });
  await app.rest("POST /api-keys", { name: "short", role: "auditor", expiresInDays: 2 });
  await scan();
  expect(await codes()).toEqual(expect.arrayContaining(["OWNER-LEFT", "KEY-EXPIRING"]));
  const { body } = await app.rest("GET /scan-results", { query: "OWNER-LEFT" });
  expect(at(body, "items")).toMatchObject([{ kind: "policy_violation", evidence: expect.stringContaining("orphan") }]);
});

test("a skill on the machine is a shadow, registered, or modified", async () => {
  const folder = join(app.home, ".claude/skills/summary");
  mkdirSync(folder, { recursive: true });
  const skill = (text: string) => `---\nname: summary\ndescription: Sums up a text.\n---\n\n${text}`;
  const hostScan = async () => {
    await app.rest("POST /scans", { targets: ["host"] });
    return (await codes()).filter((code) => code.startsWith("SHADOW-SKILL") || code === "SKILL-MODIFIED");
  };
  writeFileSync(join(folder, "SKILL.md"), skill("Write three sentences."));
  expect(await hostScan()).toEqual(["SHADOW-SKILL"]);
  const input = { name: "summary", description: "Sums up a text.", instructions: "Write three sentences." };
  const made = await app.rest("POST /skills", input);
  expect(made.status, JSON.stringify(made.body)).toBe(200);
  expect(await hostScan()).toEqual([]);
  writeFileSync(join(folder, "SKILL.md"), skill("Write four sentences."));
  expect(await hostScan()).toEqual(["SKILL-MODIFIED"]);
});
