import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import {
  aDecision,
  allEvents,
  anEvent,
  newFolder,
  openAudit,
  removeFolder,
  type AuditParts,
  type AuditSettings,
} from "../../test/harness/audit.ts";
import { startPostgres, type TestPostgres } from "../../test/harness/postgres.ts";
import { AppError } from "../lib/errors.ts";
import type { Store } from "../store/ports.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startPostgres();
});
afterAll(() => postgres.stop());

describe.each(["sqlite", "postgres"])("decisions in a table on %s", (dialect) => {
  let folder: string;
  let settings: AuditSettings;
  let opened: AuditParts | undefined;

  beforeEach(async () => {
    folder = newFolder();
    settings = dialect === "sqlite" ? { hasTableJournal: true } : { databaseUrl: await postgres.createDatabase() };
  });

  afterEach(async () => {
    await opened?.log.close().catch(() => undefined);
    await opened?.store.close();
    removeFolder(folder);
  });

  async function start(): Promise<AuditParts> {
    opened = await openAudit(folder, settings);
    return opened;
  }

  test("records under load in the order of settlement, and keeps nothing back", async () => {
    const { log, store, problems } = await start();
    const settled: string[] = [];
    const calls = Array.from({ length: 200 }, async () => {
      const decision = aDecision();
      await log.stage(decision);
      settled.push(decision.id);
      log.settle(decision.id, { outcome: "success", durationMs: 1 });
    });
    await Promise.all(calls);
    const denial = anEvent();
    await log.record(denial);
    await log.flush();
    const events = await allEvents(store);
    expect(events.map(({ id }) => id)).toEqual([...settled, denial.id]);
    expect(events.map(({ seq }) => seq)).toEqual(events.map((_, index) => index + 1));
    expect(await store.read(({ decisions }) => decisions.held({ limit: 10 }))).toEqual([]);
    expect(problems).toEqual([]);
  });

  test("stays unhealthy while the database is away, though only outcomes wait", async () => {
    let isAway = false;
    const away = (): Promise<never> => Promise.reject(new AppError("unavailable", "the database is away"));
    settings = { ...settings, wrapStore: (store) => withOutage(store, () => (isAway ? away : undefined)) };
    const { log, store } = await start();
    const decision = aDecision();
    await log.stage(decision);
    isAway = true;
    log.settle(decision.id, { outcome: "success", durationMs: 1 });
    await expect(log.record(anEvent())).rejects.toMatchObject({ code: "unavailable" });
    // Longer than until the next try.
    await sleep(1_500);
    expect(log.isHealthy).toBe(false);
    expect(() => log.refuseIfUnable()).toThrow(AppError);
    isAway = false;
    await expect.poll(() => log.isHealthy, { timeout: 5_000 }).toBe(true);
    await log.flush();
    expect(await allEvents(store)).toMatchObject([{ id: decision.id, outcome: "success" }]);
  });

  test("after a crash every acknowledged decision is exactly one event", async () => {
    const first = await start();
    const [unknown, denial, recorded] = [aDecision(), anEvent(), anEvent()];
    await first.log.record(recorded);
    await first.log.flush();
    await first.log.stage(unknown);
    await first.log.record(denial);
    await first.store.close();
    const { store } = await start();
    const events = await allEvents(store);
    expect(events.map(({ id, seq }) => [seq, id])).toEqual([
      [1, recorded.id],
      [2, denial.id],
      [3, unknown.id],
    ]);
    expect(events[2]).toMatchObject({ outcome: "error", reason: "unknown_after_crash" });
  });
});

/** The real store, but for an outage of what a journal writes with. */
function withOutage(store: Store, outage: () => (() => Promise<never>) | undefined): Store {
  return new Proxy(store, {
    get(target, name) {
      const failing = name === "transaction" || name === "ping" ? outage() : undefined;
      const value: unknown = failing ?? Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
