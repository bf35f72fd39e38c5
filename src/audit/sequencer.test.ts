import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { allEvents, anEvent, newFolder, removeFolder } from "../../test/harness/audit.ts";
import { toUnplaced } from "../../test/harness/entities.ts";
import { AppError } from "../lib/errors.ts";
import { systemClock } from "../lib/clock.ts";
import { openStore } from "../store/open-store.ts";
import type { Store } from "../store/ports.ts";
import { leafHash } from "../domain/audit-leaf.ts";
import { createSequencer, type Sequencer } from "./sequencer.ts";

let folder: string;
let store: Store;
let sequencer: Sequencer;
let isBroken = false;
/** The last `seq` after each transaction. */
let moves: number[] = [];

beforeEach(async () => {
  isBroken = false;
  moves = [];
  folder = newFolder();
  store = await openStore({ dataDir: folder, clock: systemClock });
  const breakable: Store = {
    ...delegate(store),
    transaction: async (work) => {
      if (isBroken) throw new AppError("unavailable", "disk full");
      const answer = await store.transaction(work);
      moves.push(await store.read(({ audit }) => audit.lastSeq()));
      return answer;
    },
  };
  sequencer = createSequencer({ store: breakable });
});

afterEach(async () => {
  await sequencer.close().catch(() => undefined);
  await store.close();
  removeFolder(folder);
});

function delegate(real: Store): Store {
  return {
    dialect: real.dialect,
    read: (work) => real.read(work),
    readForCaller: (work, signal) => real.readForCaller(work, signal),
    transaction: (work) => real.transaction(work),
    onCommitted: (listener) => real.onCommitted(listener),
    ping: () => real.ping(),
    close: () => real.close(),
  };
}

function stage(count: number): Promise<void> {
  return store.transaction(async ({ audit }) => {
    for (let n = 0; n < count; n += 1) await audit.stage(anEvent({ details: { n } }));
  });
}

function hand(from: number, count: number): void {
  const events = Array.from({ length: count }, (_, index) => ({
    ordinal: from + index,
    ...toUnplaced(anEvent({ details: { n: from + index } })),
    size: 10,
  }));
  sequencer.hand(events);
}

async function seqs(): Promise<readonly number[]> {
  return (await allEvents(store)).map(({ seq }) => seq);
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

test("gives staged events a gapless seq in the order of staging, also when nobody nudged", async () => {
  await stage(700);
  await sequencer.flush();
  const events = await allEvents(store);
  expect(events.map(({ seq }) => seq)).toEqual(upTo(700));
  expect(events.map(({ details }) => details["n"])).toEqual(upTo(700).map((n) => n - 1));
  expect(events.every((event) => leafHash(event) === event.leafHash)).toBe(true);
  expect(await store.read(({ audit }) => audit.takeStaged(1))).toEqual([]);
});

test("keeps the order of settlement among events of the gateway", async () => {
  await stage(3);
  // Ids tell times apart by the millisecond.
  await sleep(2);
  hand(1, 600);
  await sequencer.flush();
  hand(601, 5);
  await sequencer.flush();
  const events = await allEvents(store);
  expect(events.map(({ seq }) => seq)).toEqual(upTo(608));
  expect(events.slice(3).map(({ details }) => details["n"])).toEqual(upTo(605));
  expect([sequencer.depth, sequencer.size]).toEqual([0, 0]);
});

test("places what an operation and the gateway recorded within one batch by when it happened", async () => {
  hand(10, 1);
  await sleep(2);
  await stage(2);
  await sleep(2);
  hand(20, 1);
  await sequencer.flush();
  const events = await allEvents(store);
  expect(events.map(({ details }) => details["n"])).toEqual([10, 0, 1, 20]);
});

test("places what an operation recorded behind all that the gateway had recorded before, also beyond one batch", async () => {
  isBroken = true;
  hand(1, 3000);
  await sleep(2);
  await stage(1);
  await sleep(2);
  hand(3001, 3000);
  isBroken = false;
  await sequencer.flush();
  const events = await allEvents(store);
  const before = Array.from({ length: 3000 }, (_, index) => index + 1);
  expect(events.map(({ details }) => details["n"])).toEqual([...before, 0, ...before.map((n) => n + 3000)]);
});

test("moves by itself after a nudge and after a hand-over", async () => {
  await stage(1);
  sequencer.nudge();
  await expect.poll(seqs).toEqual([1]);
  hand(1, 1);
  await expect.poll(seqs).toEqual([1, 2]);
});

test("moves a full queue at once and whole, and what comes meanwhile together", async () => {
  hand(1, 1_500);
  for (let n = 1_501; n <= 1_600; n += 1) hand(n, 1);
  await vi.waitFor(() => expect(moves).toEqual([1_500, 1_600]), { timeout: 10_000 });
  expect(await seqs()).toEqual(upTo(1_600));
});

test("lets an event wait for company as long as any other, also soon after a flush", async () => {
  hand(1, 1);
  await sleep(200);
  await sequencer.flush();
  const handedAt = performance.now();
  hand(2, 1);
  await vi.waitFor(() => expect(moves).toEqual([1, 2]), { timeout: 10_000 });
  expect(performance.now() - handedAt).toBeGreaterThan(240);
});

test("callers that flush while events pour in each see what they handed over", async () => {
  const work = upTo(20).map(async (round) => {
    await stage(3);
    hand(round * 10, 3);
    await sequencer.flush();
    expect((await seqs()).length).toBeGreaterThanOrEqual(6);
  });
  await Promise.all(work);
  expect(await seqs()).toEqual(upTo(120));
});

test("says unavailable while the database fails, keeps everything, and moves it once afterwards", async () => {
  isBroken = true;
  hand(1, 300);
  await expect(sequencer.flush()).rejects.toMatchObject({ code: "unavailable" });
  expect([sequencer.isHealthy, sequencer.depth]).toEqual([false, 300]);
  isBroken = false;
  await expect.poll(seqs, { timeout: 5_000 }).toEqual(upTo(300));
  await expect.poll(() => sequencer.isHealthy).toBe(true);
});

test("moves nothing twice and loses nothing when one flush ends while another waits for its turn", async () => {
  hand(1, 3);
  const first = sequencer.flush();
  const second = sequencer.flush();
  await first;
  hand(4, 3);
  await sequencer.flush();
  await second;
  const events = await allEvents(store);
  expect(events.map(({ details }) => details["n"])).toEqual(upTo(6));
  expect([sequencer.depth, sequencer.size]).toEqual([0, 0]);
});
