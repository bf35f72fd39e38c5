import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { anApiKey } from "../../test/harness/entities.ts";
import { systemClock } from "../lib/clock.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/ports.ts";
import { KeyUsage } from "./key-usage.ts";

const KEYS = Array.from({ length: 1_000 }, () => anApiKey());

let folder: string;
let store: Store;
let usage: KeyUsage;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "runlayer-usage-"));
  store = await openStore({ dataDir: folder, clock: systemClock });
  await store.transaction(async ({ apiKeys }) => {
    for (const key of KEYS) await apiKeys.insert(key);
  });
  usage = new KeyUsage({ store, onProblem: () => undefined });
  for (const { id } of KEYS) usage.note(id, "192.0.2.1", 5);
});
afterEach(async () => {
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

function countWritten(): Promise<number> {
  return store.read(async ({ apiKeys }) => {
    const all = await apiKeys.list({ now: 10 }, { limit: KEYS.length });
    return all.items.filter(({ useCount }) => useCount === 1).length;
  });
}

test("writes each use once, and lets other writers in between", async () => {
  const writing = usage.close();
  await store.transaction(({ values }) => values.set("decided", "meanwhile"));
  expect(await countWritten()).toBeLessThan(KEYS.length / 2);
  await writing;
  expect(await countWritten()).toBe(KEYS.length);
  expect(usage.pending(KEYS[0]?.id ?? "")).toBeUndefined();
});

test("keeps what was not written", async () => {
  const writing = usage.close();
  await store.transaction(() => Promise.resolve());
  const closing = store.close();
  await expect(writing).rejects.toMatchObject({ code: "unavailable" });
  await closing;
  store = await openStore({ dataDir: folder, clock: systemClock });
  const kept = KEYS.filter(({ id }) => usage.pending(id)?.count === 1).length;
  expect(kept).toBeGreaterThan(0);
  expect(kept + (await countWritten())).toBe(KEYS.length);
});
