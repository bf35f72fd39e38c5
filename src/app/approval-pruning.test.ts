import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { anApproval } from "../../test/harness/entities.ts";
import { systemClock } from "../lib/clock.ts";
import { openStore } from "../store/open-store.ts";
import type { Repositories } from "../store/ports.ts";
import { pruneApprovals } from "./approval-pruning.ts";

const DAY_MS = 24 * 60 * 60 * 1000;
const NOW = Date.UTC(2026, 5, 1, 12);
const clock = { now: () => NOW };

test("forgets approvals a month after their end, some at a time, and no other", async () => {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-pruning-"));
  const store = await openStore({ dataDir, clock: systemClock });
  store.onCommitted(() => Promise.resolve());
  const waiting = anApproval({ expiresAt: NOW + DAY_MS });
  const recent = anApproval({ status: "denied", expiresAt: NOW - 29 * DAY_MS });
  await store.transaction(async ({ approvals }) => {
    for (const approval of [waiting, recent]) await approvals.insert(approval);
    for (let count = 0; count < 1200; count += 1) {
      const status = (["pending", "approved", "denied", "used"] as const)[count % 4] ?? "used";
      await approvals.insert(anApproval({ status, expiresAt: NOW - 31 * DAY_MS - count }));
    }
  });
  let turns = 0;
  const counting = {
    transaction: (work: (repositories: Repositories) => Promise<number>) => {
      turns += 1;
      return store.transaction(work);
    },
  };
  expect(await pruneApprovals({ store: counting, clock })).toBe(1200);
  expect(turns).toBe(3);
  const left = await store.read(({ approvals }) => approvals.list({ now: NOW }, { limit: 50 }));
  expect(left.items.map(({ id }) => id).toSorted()).toEqual([waiting.id, recent.id].toSorted());
  await store.close();
  rmSync(dataDir, { recursive: true, force: true });
});
