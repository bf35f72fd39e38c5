import { afterAll, beforeAll, expect, test } from "vitest";
import { toAppError } from "../../src/lib/errors.ts";
import { at, startTestApp, textAt, type TestApp } from "../harness/app.ts";
import { startLegacyServer, type RunningServer } from "../fixtures/mcp/http-servers.ts";
import { startPostgres } from "../harness/postgres.ts";
import { startRelay } from "../harness/relay.ts";

let postgres: Awaited<ReturnType<typeof startPostgres>>;
let app: TestApp;
let upstream: RunningServer;

beforeAll(async () => {
  postgres = await startPostgres();
  app = await startTestApp({ RUNLAYER_DATABASE_URL: await postgres.createDatabase() });
  upstream = await startLegacyServer();
});

afterAll(async () => {
  await app.close();
  await upstream.close();
  await postgres.stop();
});

test("tells in time that the database hangs", async () => {
  const url = new URL(await postgres.createDatabase());
  const relay = await startRelay(Number(url.port));
  url.port = String(relay.port);
  const hanging = await startTestApp({ RUNLAYER_DATABASE_URL: url.href });
  const ready = () => fetch(`${hanging.url}/readyz`);
  expect((await ready()).status).toBe(200);
  relay.freeze();
  const startedAt = performance.now();
  const answer = await ready();
  expect(performance.now() - startedAt).toBeLessThan(8_000);
  expect([answer.status, await answer.json()]).toEqual([
    503,
    { status: "unavailable", problem: "the database has not answered for 4 s" },
  ]);
  await relay.close();
  expect(await hanging.close().catch(toAppError)).toMatchObject({ code: "unavailable" });
});

test("the whole path works on PostgreSQL: register, call, record, restart", async () => {
  await app.rest("POST /servers", {
    name: "sample",
    transport: "streamable-http",
    url: `${upstream.origin}/mcp`,
    allowPrivateNetwork: true,
  });
  const agent = await app.rest("POST /agents", { name: "caller", type: "codex", servers: ["sample"] });
  const client = await app.agentClient("sample", textAt(agent.body, "key"));
  const { tools } = await client.listTools();
  await client.callTool({ name: tools[0]?.name ?? "", arguments: {} });
  await client.close();
  const before = await app.rest("GET /audit-events", { agent: "caller", action: "tool.call" });
  expect(at(before.body, "items")).toHaveLength(1);
  await app.restart();
  const after = await app.rest("GET /audit-events", { limit: 200 });
  const items = at(after.body, "items");
  const seqs = Array.isArray(items) ? items.map((item) => at(item, "seq")) : [];
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1));
});
