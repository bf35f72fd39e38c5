import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import SqliteDatabase from "better-sqlite3";
import { expect, test, vi } from "vitest";
import { aDraft, toUnplaced } from "../../../../test/harness/entities.ts";
import { systemClock } from "../../../lib/clock.ts";
import { openStore } from "../../open-store.ts";

const MEGABYTE = 1024 * 1024;

test("callers that search without a pause do not let the write-ahead log grow without an end", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-wal-"));
  const store = await openStore({ dataDir, clock: systemClock });
  const controller = new AbortController();
  const { signal } = controller;
  const search = async (): Promise<void> => {
    for (;;)
      await store.readForCaller(({ audit }) => audit.list({ query: "nothing" }, { limit: 1, order: "asc" }), signal);
  };
  const searches = [search(), search(), search(), search()];
  const pad = "x".repeat(4_000);
  try {
    let largest = 0;
    // Some 400 MB.
    for (let seq = 1; seq < 80_000; seq += 128) {
      const drafts = Array.from({ length: 128 }, () => toUnplaced(aDraft({ details: { pad } })));
      await store.transaction(({ audit }) => audit.append(drafts, seq));
      largest = Math.max(largest, statSync(join(dataDir, "runlayer.db-wal")).size);
    }
    expect(largest / MEGABYTE).toBeLessThan(150);
  } finally {
    // Each ends with its refusal.
    controller.abort();
    await Promise.allSettled(searches);
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});

test("another process that reads an old state keeps the log long and nobody waiting, and shortens nothing for good", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-wal-"));
  const store = await openStore({ dataDir, clock: systemClock });
  const { signal } = new AbortController();
  const read = () => store.readForCaller(({ values }) => values.find("a"), signal);
  const logMegabytes = () => statSync(join(dataDir, "runlayer.db-wal")).size / MEGABYTE;
  const pad = "x".repeat(4_000);
  let seq = 1;
  const write = async (count: number): Promise<void> => {
    const drafts = Array.from({ length: count }, () => toUnplaced(aDraft({ details: { pad } })));
    await store.transaction(({ audit }) => audit.append(drafts, seq));
    seq += count;
  };
  await write(1);
  const other = new SqliteDatabase(join(dataDir, "runlayer.db"), { readonly: true });
  try {
    other.exec("BEGIN");
    other.prepare("select count(*) from audit_events").get();
    while (logMegabytes() < 60) await write(512);
    // Each read would try to shorten the log, with the writer's lock in hand.
    for (let n = 0; n < 300; n += 1) await Promise.all([read(), write(1)]);
    expect(logMegabytes()).toBeGreaterThan(60);
    other.exec("COMMIT");
    await vi.waitFor(
      async () => {
        await read();
        expect(logMegabytes()).toBeLessThan(1);
      },
      { timeout: 20_000, interval: 500 },
    );
  } finally {
    other.close();
    await store.close();
    rmSync(dataDir, { recursive: true, force: true });
  }
});
