import { afterAll, beforeAll, expect, test } from "vitest";
import { call, openStream, post, request, streamInit, type Posted } from "../gateway/client.ts";
import { plainServer, startSse, startUpstream, type TestUpstream } from "../gateway/upstream.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { inDatabase } from "../harness/database.ts";

/* What is committed and cannot be read back: nothing is served until it is. */

let app: TestApp;
let upstream: TestUpstream;

beforeAll(async () => {
  app = await startTestApp();
  upstream = await startUpstream((received) => {
    if (received.method !== "GET") return plainServer(received);
    startSse(received);
    received.response.write(": open\n\n");
  });
  const server = { name: "files", transport: "streamable-http", url: `${upstream.url}/mcp`, allowPrivateNetwork: true };
  expect((await app.rest("POST /servers", server)).status).toBe(200);
});

afterAll(async () => {
  await app.close();
  await upstream.close();
});

interface TestAgent {
  readonly key: string;
  readonly keyId: string;
}

async function addAgent(name: string): Promise<TestAgent> {
  const { body } = await app.rest("POST /agents", { name, type: "custom", servers: ["files"] });
  return { key: textAt(body, "key"), keyId: textAt(body, "agent", "key", "id") };
}

const INITIALIZE = { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "test", version: "1" } };

async function openSession(path: string, { key }: TestAgent): Promise<Record<string, string>> {
  const opened = await post(`${app.url}${path}`, key, request(1, "initialize", INITIALIZE));
  expect(opened.messages).toMatchObject([{ id: 1, result: {} }]);
  return { "mcp-session-id": opened.headers.get("mcp-session-id") ?? "", "mcp-protocol-version": "2025-11-25" };
}

const FILES = "/gateway/files/mcp";
const ALL = "/gateway/mcp";

function callTool(path: string, { key }: TestAgent, headers: Record<string, string> = {}): Promise<Posted> {
  return post(`${app.url}${path}`, key, call(2, path === ALL ? "files__read_file" : "read_file"), { headers });
}

const isReady = async (): Promise<boolean> => (await fetch(`${app.url}/readyz`)).status === 200;

test("a revocation that cannot be read back cuts everybody off until it is, and is not lost", async () => {
  const [lost, other] = [await addAgent("lost"), await addAgent("other")];
  const [ofServer, ofAll] = [await openSession(FILES, other), await openSession(ALL, other)];
  const stream = await openStream(
    `${app.url}${FILES}`,
    streamInit(lost.key, undefined, await openSession(FILES, lost)),
  );
  expect(stream.status).toBe(200);
  // Rows that come out of a revocation cannot be read: the commit succeeds, the reload of the view fails.
  await inDatabase(
    app.dataDir,
    "create trigger fault after update of revoked_at on api_keys when new.revoked_at is not null begin update api_keys set created_by = '{' where id = new.id; end",
  );
  const revoke = () => app.rest(`POST /api-keys/${lost.keyId}/revoke`, { confirm: true });
  expect((await revoke()).status).toBeGreaterThanOrEqual(500);

  const sent = upstream.received.filter(({ body }) => body.includes("tools/call")).length;
  for (const [path, headers] of [
    [FILES, ofServer],
    [ALL, ofAll],
  ] as const) {
    for (const refused of [
      await callTool(path, lost),
      await callTool(path, other),
      await callTool(path, other, headers),
    ])
      expect(refused).toMatchObject({ status: 503, messages: [{ error: { code: -32_013 } }] });
  }
  expect(upstream.received.filter(({ body }) => body.includes("tools/call"))).toHaveLength(sent);
  while ((await stream.next()) !== undefined);
  const readiness = await fetch(`${app.url}/readyz`);
  expect(readiness.status).toBe(503);
  expect(at(await readiness.json(), "problem")).toContain("could not be read");
  // Who asks might hold the key that was revoked; a second revocation must not answer as if it had worked.
  expect(await revoke()).toMatchObject({ status: 503, body: { code: "unavailable" } });

  await inDatabase(
    app.dataDir,
    "drop trigger fault",
    `update api_keys set created_by = '{"type":"system","id":"x","name":"x"}' where created_by = '{'`,
  );
  await expect.poll(isReady, { timeout: 10_000 }).toBe(true);
  expect((await callTool(FILES, lost)).status).toBe(401);
  expect((await callTool(ALL, lost)).status).toBe(401);
  expect((await callTool(FILES, other, ofServer)).messages).toMatchObject([{ result: {} }]);
  expect((await callTool(ALL, other, ofAll)).messages).toMatchObject([{ result: {} }]);
  expect(await revoke()).toMatchObject({ status: 200, body: { impact: { wasActive: false } } });
  const failures = await app.rest("GET /audit-events", { action: "auth.failure" });
  expect(JSON.stringify(failures.body)).not.toContain("unknown_key");
});
