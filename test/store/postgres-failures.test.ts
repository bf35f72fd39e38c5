import { setTimeout as sleep } from "node:timers/promises";
import { Client, Pool } from "pg";
import { CompiledQuery, Kysely, PostgresDialect } from "kysely";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../../src/lib/clock.ts";
import { openStore } from "../../src/store/open-store.ts";
import { droppingSilent, watchPeer } from "../../src/store/sql/postgres/session.ts";
import { aGroup } from "../harness/entities.ts";
import { type TestPostgres, startPostgres } from "../harness/postgres.ts";
import { type Relay, startRelay } from "../harness/relay.ts";

let postgres: TestPostgres;
let relay: Relay;

beforeAll(async () => {
  postgres = await startPostgres();
  relay = await startRelay(Number(new URL(await postgres.createDatabase()).port));
});
afterAll(async () => {
  await relay.close();
  await postgres.stop();
});

const open = (databaseUrl: string) => openStore({ dataDir: "/nonexistent", databaseUrl, clock: systemClock });

/** A new database, reached through the relay. */
async function relayed(): Promise<string> {
  const url = new URL(await postgres.createDatabase());
  url.port = String(relay.port);
  return url.href;
}

test("makes the server notice a peer that is gone, whatever `options` the operator gives", async () => {
  const url = `${await postgres.createDatabase()}?options=-c%20work_mem%3D8MB`;
  const client = new Client({ connectionString: url });
  await client.connect();
  await watchPeer(client);
  const names = ["tcp_keepalives_idle", "tcp_keepalives_interval", "tcp_keepalives_count", "tcp_user_timeout"];
  const all = [...names, "idle_in_transaction_session_timeout", "work_mem"];
  const { rows } = await client.query("select name, setting from pg_settings where name = any($1)", [all]);
  await client.end();
  expect(Object.fromEntries(rows.map(({ name, setting }) => [name, setting]))).toEqual({
    tcp_keepalives_idle: "10",
    tcp_keepalives_interval: "5",
    tcp_keepalives_count: "3",
    tcp_user_timeout: "25000",
    idle_in_transaction_session_timeout: "30000",
    work_mem: "8192",
  });
});

test("closes a connection that does not answer, without a wait for its rollback, and goes on with another one", async () => {
  const pool = new Pool({ connectionString: await relayed(), max: 1, query_timeout: 1_000 });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  const db = new Kysely<Record<string, never>>({ dialect: new PostgresDialect({ pool: droppingSilent(pool) }) });
  const select = CompiledQuery.raw("select 1 as one");
  const startedAt = performance.now();
  const silent = db.transaction().execute(async (trx) => {
    await trx.executeQuery(select);
    relay.freeze();
    await trx.executeQuery(select);
  });
  await expect(silent).rejects.toThrow("Query read timeout");
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect((await db.executeQuery(select)).rows).toEqual([{ one: 1 }]);
  relay.freeze();
  // It fails in its BEGIN.
  await expect(db.transaction().execute((trx) => trx.executeQuery(select))).rejects.toThrow("Query read timeout");
  expect((await db.executeQuery(select)).rows).toEqual([{ one: 1 }]);
  await db.destroy();
});

test("closes within seconds while the server hangs", async () => {
  const store = await open(await relayed());
  await store.transaction(({ values }) => values.set("a", "1"));
  const abort = new AbortController();
  await store.readForCaller(({ values }) => values.find("a"), abort.signal);
  relay.freeze();
  const startedAt = performance.now();
  await store.close();
  expect(performance.now() - startedAt).toBeLessThan(8_000);
});

test("waits for a Runlayer that is stopping, some seconds", async () => {
  const url = await postgres.createDatabase();
  const first = await open(url);
  const second = open(url);
  await sleep(1_000);
  await first.close();
  await (await second).close();
});

test("a commit whose answer is lost fails, and listeners read what was committed before anybody is told", async () => {
  const store = await open(await relayed());
  const seen: (string | undefined)[] = [];
  store.onCommitted(async (changes) => {
    for (const { id } of changes) seen.push((await store.read(({ groups }) => groups.find(id)))?.name);
  });
  const insert = (name: string) => store.transaction(({ groups }) => groups.insert(aGroup({ name })));
  relay.loseAnswerTo("commit");
  await expect(insert("lost")).rejects.toMatchObject({ code: "unavailable" });
  expect(seen).toEqual(["lost"]);
  await insert("next");
  expect(seen).toEqual(["lost", "next"]);
  await store.close();
});
