import { once } from "node:events";
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Worker } from "node:worker_threads";
import SqliteDatabase from "better-sqlite3";
import { afterEach, beforeEach, expect, onTestFinished, test } from "vitest";
import { aDraft, anApiKey, aServer, toUnplaced } from "../../../../test/harness/entities.ts";
import { systemClock } from "../../../lib/clock.ts";
import { openStore } from "../../open-store.ts";
import type { Store } from "../../ports.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-store-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

test("keeps what was committed across a restart, in files that only their owner reads", async () => {
  const dataDir = join(folder, "data");
  const server = aServer();
  const first = await openStore({ dataDir, clock: systemClock });
  await first.transaction(({ servers }) => servers.insert(server));
  expect(statSync(dataDir).mode & 0o777).toBe(0o700);
  for (const file of ["runlayer.db", "runlayer.db-wal"]) expect(statSync(join(dataDir, file)).mode & 0o777).toBe(0o600);
  await first.close();
  expect(readdirSync(dataDir).toSorted()).toEqual(["runlayer.db", "runlayer.lock"]);
  const second = await openStore({ dataDir, clock: systemClock });
  expect(await second.read(({ servers }) => servers.get(server.name))).toEqual(server);
  await second.close();
});

test("refuses a second store on the same data directory, and opens after the first has closed", async () => {
  const first = await openStore({ dataDir: folder, clock: systemClock });
  await expect(openStore({ dataDir: folder, clock: systemClock })).rejects.toMatchObject({ code: "conflict" });
  await first.ping();
  await first.close();
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
});

test("opens a data directory whose lock file was left behind", async () => {
  writeFileSync(join(folder, "runlayer.lock"), "");
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
});

test("reads a key of a program that kept no history of its use, and goes on from its last address", async () => {
  const key = anApiKey({ lastUsedAt: 5, lastUsedIp: "192.0.2.1", useCount: 1 });
  const first = await openStore({ dataDir: folder, clock: systemClock });
  await first.transaction(({ apiKeys }) => apiKeys.insert(key));
  await first.close();
  const database = new SqliteDatabase(join(folder, "runlayer.db"));
  database.exec("update api_keys set use_history = null");
  database.close();
  const store = await openStore({ dataDir: folder, clock: systemClock });
  expect(await store.read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(key);
  const use = { keyId: key.id, count: 1, denied: { count: 0, at: 0 } };
  const from = (ip: string, at: number) => ({ ...use, last: { at, ip }, ips: [ip] });
  await store.transaction(({ apiKeys }) => apiKeys.recordUse([from("192.0.2.1", 6)]));
  expect((await store.read(({ apiKeys }) => apiKeys.get(key.id))).useHistory.newNetworkAt).toBeNull();
  await store.transaction(({ apiKeys }) => apiKeys.recordUse([from("198.51.100.1", 7)]));
  expect((await store.read(({ apiKeys }) => apiKeys.get(key.id))).useHistory.newNetworkAt).toBe(7);
  await store.close();
});

test("finds the approvals to forget by an index", async () => {
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
  const database = new SqliteDatabase(join(folder, "runlayer.db"), { readonly: true });
  const ended = "select id from approvals where expires_at <= 1 order by expires_at limit 500";
  const plan = database.prepare(`explain query plan delete from approvals where id in (${ended})`).all();
  database.close();
  expect(JSON.stringify(plan)).toContain("approvals_expiry");
  expect(JSON.stringify(plan)).not.toMatch(/SCAN|TEMP B-TREE/);
});

test("refuses a database of a newer program, a file that is no database, a directory that cannot be made", async () => {
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
  const database = new SqliteDatabase(join(folder, "runlayer.db"));
  database.exec("insert into schema_migrations (version, applied_at) values (99, 0)");
  database.close();
  const refusal = { code: "unavailable", message: expect.not.stringContaining("\n") };
  await expect(openStore({ dataDir: folder, clock: systemClock })).rejects.toMatchObject(refusal);
  // Refused, but not kept: the lock is free again.
  await expect(openStore({ dataDir: folder, clock: systemClock })).rejects.toThrow("schema 99");
  const garbage = join(folder, "garbage");
  mkdirSync(garbage);
  writeFileSync(join(garbage, "runlayer.db"), "this is not a database".repeat(1_000));
  await expect(openStore({ dataDir: garbage, clock: systemClock })).rejects.toMatchObject(refusal);
  await expect(openStore({ dataDir: join(garbage, "runlayer.db", "x"), clock: systemClock })).rejects.toMatchObject({
    code: "invalid_input",
    message: expect.stringContaining("is not a folder"),
  });
});

test("answers unavailable when the worker that writes dies, and never hangs", async () => {
  const { store, workers } = await openWatched();
  const running = store.transaction(async ({ values }) => {
    await values.set("half", "done");
    await workers[0]?.terminate();
    await values.set("more", "done");
  });
  const waiting = store.transaction(({ values }) => values.set("later", "done"));
  await expect(running).rejects.toMatchObject({ code: "unavailable" });
  await expect(waiting).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.ping()).rejects.toMatchObject({ code: "unavailable" });
  await store.close();
  const next = await openStore({ dataDir: folder, clock: systemClock });
  expect(await next.read(({ values }) => values.find("half"))).toBeUndefined();
  await next.close();
});

test("answers unavailable when the worker that reads dies, and never hangs", async () => {
  const { store, workers } = await openWatched();
  const reading = store.readForCaller(async ({ values }) => {
    await values.find("a");
    await workers[1]?.terminate();
    await values.find("b");
  }, new AbortController().signal);
  await expect(reading).rejects.toMatchObject({ code: "unavailable" });
  await expect(store.ping()).rejects.toMatchObject({ code: "unavailable" });
  await store.close();
});

test("starts the worker that reads for callers when the first of them reads, and once", async () => {
  const { store, workers } = await openWatched();
  await store.transaction(({ values }) => values.set("a", "1"));
  expect(await store.read(({ values }) => values.find("a"))).toBe("1");
  await store.ping();
  expect(workers).toHaveLength(1);
  const { signal } = new AbortController();
  const reads = [1, 2, 3].map(() => store.readForCaller(({ values }) => values.find("a"), signal));
  expect(await Promise.all(reads)).toEqual(["1", "1", "1"]);
  expect(workers).toHaveLength(2);
  await store.ping();
  await store.close();
});

test("refuses callers while the worker that reads cannot start, and serves them once it can", async () => {
  const { store } = await openWatched();
  const file = join(folder, "runlayer.db");
  const read = () => store.readForCaller(({ values }) => values.find("a"), new AbortController().signal);
  renameSync(file, `${file}.away`);
  await expect(read()).rejects.toMatchObject({ code: "unavailable", message: expect.stringContaining(folder) });
  await store.ping();
  renameSync(`${file}.away`, file);
  expect(await read()).toBeUndefined();
  await store.close();
});

test("closes while the worker that reads fails to start, and frees the data directory", async () => {
  const { store } = await openWatched();
  const file = join(folder, "runlayer.db");
  renameSync(file, `${file}.away`);
  const started = once(process, "worker");
  const read = store.readForCaller(({ values }) => values.find("a"), new AbortController().signal);
  await started;
  const [, outcome] = await Promise.all([store.close(), Promise.allSettled([read])]);
  expect(outcome).toMatchObject([{ status: "rejected", reason: { code: "unavailable" } }]);
  renameSync(`${file}.away`, file);
  await (await openStore({ dataDir: folder, clock: systemClock })).close();
});

test("closes while the worker that reads starts, and leaves no thread and no write-ahead log", async () => {
  const { store, workers } = await openWatched();
  const started = once(process, "worker");
  const read = store.readForCaller(({ values }) => values.find("a"), new AbortController().signal);
  await started;
  await Promise.all([store.close(), Promise.allSettled([read])]);
  expect(workers.map(({ threadId }) => threadId)).toEqual([-1, -1]);
  expect(readdirSync(folder).toSorted()).toEqual(["runlayer.db", "runlayer.lock"]);
});

test("commits, reads what the program itself needs and answers a ping while long searches run", async () => {
  const store = await openStore({ dataDir: folder, clock: systemClock });
  await store.transaction(({ audit }) =>
    audit.append(
      Array.from({ length: 20_000 }, () => toUnplaced(aDraft())),
      1,
    ),
  );
  let isSearching = true;
  const search = Promise.all(
    Array.from({ length: 20 }, () =>
      store.readForCaller(
        ({ audit }) => audit.list({ query: "nothing" }, { limit: 1, order: "asc" }),
        new AbortController().signal,
      ),
    ),
  ).finally(() => {
    isSearching = false;
  });
  await store.transaction(({ values }) => values.set("written", "meanwhile"));
  expect(await store.read(({ values }) => values.find("written"))).toBe("meanwhile");
  await store.ping();
  expect(isSearching).toBe(true);
  await search;
  await store.close();
});

test("does not commit a transaction in which a statement failed, even if the failure was caught", async () => {
  const store = await openStore({ dataDir: folder, clock: systemClock });
  const server = aServer();
  const catching = store.transaction(async ({ servers }) => {
    await servers.insert(server);
    await servers.insert({ ...server, name: "same-id" }).catch(() => undefined);
  });
  await expect(catching).rejects.toThrow("cannot commit");
  expect(await store.read(({ servers }) => servers.find(server.id))).toBeUndefined();
  await store.transaction(({ servers }) => servers.insert(server));
  await store.close();
});

/** A store with its workers: the one that writes, then, once callers read, the one that reads. */
async function openWatched(): Promise<{ readonly store: Store; readonly workers: readonly Worker[] }> {
  const workers: Worker[] = [];
  const watch = (worker: Worker): void => void workers.push(worker);
  process.on("worker", watch);
  onTestFinished(() => void process.off("worker", watch));
  return { store: await openStore({ dataDir: folder, clock: systemClock }), workers };
}
