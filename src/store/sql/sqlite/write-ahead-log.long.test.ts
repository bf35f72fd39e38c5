import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
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
