import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import {
  aDecision,
  allEvents,
  anEvent,
  journalFolder,
  newFolder,
  openAudit,
  removeFolder,
  type AuditParts,
  type AuditSettings,
} from "../../test/harness/audit.ts";
import type { Store } from "../store/ports.ts";
import type { DecisionJournal } from "./decision-journal.ts";

let folder: string;
let opened: AuditParts[] = [];

beforeEach(() => {
  folder = newFolder();
});

afterEach(async () => {
  vi.useRealTimers();
  for (const { log, store } of opened) {
    await log.close().catch(() => undefined);
    await store.close();
  }
  opened = [];
  removeFolder(folder);
});

async function start(settings?: AuditSettings): Promise<AuditParts> {
  const parts = await openAudit(folder, settings);
  opened.push(parts);
  return parts;
}

/** The journal with another way to commit. */
function withCommit(journal: DecisionJournal, commit: DecisionJournal["commit"]): DecisionJournal {
  return {
    isImmediate: journal.isImmediate,
    recover: () => journal.recover(),
    commit,
    claim: (repositories, events) => journal.claim(repositories, events),
    release: (events) => journal.release(events),
    close: () => journal.close(),
  };
}

/** Takes the files away from a log in the middle of its work: what a killed process leaves behind. */
async function crash({ journal, store }: AuditParts): Promise<void> {
  await journal.close();
  await store.close();
  opened = [];
}

test("a decision and its outcome are one event, visible after a flush", async () => {
  const { log, store } = await start();
  const decision = aDecision();
  await log.stage(decision);
  expect(log.openDecisions).toBe(1);
  log.settle(decision.id, { outcome: "success", durationMs: 12.4, details: { bytes: 10 } });
  await log.flush();
  const details = { ...decision.details, bytes: 10 };
  const expected = { ...decision, seq: 1, outcome: "success", durationMs: 12, details };
  expect(await allEvents(store)).toMatchObject([expected]);
  expect([log.openDecisions, log.depth, log.isHealthy]).toEqual([0, 0, true]);
});

test("seq follows the order of settlement", async () => {
  const { log, store } = await start();
  const decisions = Array.from({ length: 100 }, () => aDecision());
  await Promise.all(decisions.map((decision) => log.stage(decision)));
  const ended = decisions.toReversed();
  for (const { id } of ended) log.settle(id, { outcome: "success", durationMs: 1 });
  await log.flush();
  const events = await allEvents(store);
  expect(events.map(({ id }) => id)).toEqual(ended.map(({ id }) => id));
  expect(events.map(({ seq }) => seq)).toEqual(ended.map((_, index) => index + 1));
});

test("records denials in one, and settles an id at most once", async () => {
  const { log, store } = await start();
  const denial = anEvent();
  await log.record(denial);
  const decision = aDecision();
  await log.stage(decision);
  log.settle(decision.id, { outcome: "success", durationMs: 1 });
  log.settle(decision.id, { outcome: "error", durationMs: 2 });
  log.settle("unknown", { outcome: "error", durationMs: 2 });
  log.post(anEvent({ action: "session.end" }));
  await log.flush();
  expect((await allEvents(store)).map(({ action, outcome }) => `${action} ${outcome}`)).toEqual([
    "tool.call denied",
    "tool.call success",
    "session.end denied",
  ]);
});

test("after a crash every acknowledged decision is exactly one event", async () => {
  const first = await start();
  const [unknown, settled, recorded] = [aDecision(), aDecision(), anEvent()];
  await first.log.stage(unknown);
  await first.log.stage(settled);
  first.log.settle(settled.id, { outcome: "success", durationMs: 5, details: { bytes: 1 } });
  await first.log.record(recorded);
  await crash(first);
  const second = await start();
  expect(await allEvents(second.store)).toMatchObject([
    { seq: 1, id: settled.id, outcome: "success", durationMs: 5, details: { ...settled.details, bytes: 1 } },
    { seq: 2, id: recorded.id, outcome: "denied" },
    { seq: 3, id: unknown.id, outcome: "error", reason: "unknown_after_crash" },
  ]);
  await crash(second);
  expect(await allEvents((await start()).store)).toHaveLength(3);
});

test("an event that reached the log before the crash is not recorded again", async () => {
  const first = await start();
  for (let n = 0; n < 10; n += 1) await first.log.record(anEvent());
  await first.log.flush();
  for (let n = 0; n < 5; n += 1) await first.log.record(anEvent());
  await crash(first);
  const { store } = await start();
  const events = await allEvents(store);
  expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 15 }, (_, index) => index + 1));
  expect(new Set(events.map(({ id }) => id)).size).toBe(15);
});

test("no segment grows beyond the space that was taken for it, which a full disk would refuse", async () => {
  const { log } = await start({ segmentBytes: 16 * 1024 });
  const sizes = new Set<number>();
  for (let n = 0; n < 400; n += 1) {
    const decision = aDecision({ details: { pad: "é".repeat(n) } });
    await log.stage(decision);
    log.settle(decision.id, { outcome: "success", durationMs: 1 });
    const names = readdirSync(journalFolder(folder)).filter((name) => name.startsWith("decisions-"));
    for (const name of names) {
      // One that is given up just now is gone.
      const found = statSync(join(journalFolder(folder), name), { throwIfNoEntry: false });
      if (found !== undefined) sizes.add(found.size);
    }
  }
  expect([...sizes]).toEqual([16 * 1024]);
});

test("goes through many small segments, keeps long calls, and gives the files back", async () => {
  const parts = await start({ segmentBytes: 16 * 1024 });
  const long = aDecision();
  await parts.log.stage(long);
  for (let n = 0; n < 300; n += 1) {
    const decision = aDecision();
    await parts.log.stage(decision);
    parts.log.settle(decision.id, { outcome: "success", durationMs: 1 });
    if (n % 50 === 0) await parts.log.flush();
  }
  await parts.log.flush();
  await expect.poll(() => readdirSync(journalFolder(folder)).length).toBeLessThanOrEqual(3);
  expect(parts.problems).toEqual([]);
  await crash(parts);
  const { store, problems } = await start({ segmentBytes: 16 * 1024 });
  const events = await allEvents(store);
  expect(events).toHaveLength(301);
  expect(events.at(-1)).toMatchObject({ id: long.id, reason: "unknown_after_crash" });
  expect(problems).toEqual([]);
});

test("damage makes no second event of a call that is in the log, and is told", async () => {
  const first = await start();
  const decisions = Array.from({ length: 20 }, () => aDecision());
  for (const { id, ...decision } of decisions) {
    await first.log.stage({ id, ...decision });
    first.log.settle(id, { outcome: "success", durationMs: 1 });
  }
  await first.log.flush();
  const before = await allEvents(first.store);
  const lost = aDecision();
  await first.log.stage(lost);
  await crash(first);
  damage((bytes) => {
    // The frame with the outcome of a call in the middle, and the decision of the next one.
    const at = bytes.indexOf(`"id":"${decisions[10]?.id}","outcome"`);
    expect(at).toBeGreaterThan(0);
    return Buffer.concat([bytes.subarray(0, at), Buffer.from("X"), bytes.subarray(at + 1)]);
  });
  const { store, problems } = await start();
  expect(await allEvents(store)).toEqual([
    ...before,
    expect.objectContaining({ id: lost.id, reason: "unknown_after_crash" }),
  ]);
  expect(problems.map(String).join()).toContain("1 commits of segment 1 cannot be read");
});

test.each([
  ["a cut off segment", (bytes: Buffer) => bytes.subarray(0, bytes.length / 2), "segment 1 is cut off"],
  ["an emptied segment", () => Buffer.alloc(0), "segment 1 is cut off"],
  ["no segment at all", () => undefined, "all of it is missing"],
])("tells of %s", async (_what, change, told) => {
  const first = await start({ segmentBytes: 16 * 1024 });
  await first.log.record(anEvent());
  await first.log.flush();
  await crash(first);
  damage(change);
  const { problems } = await start({ segmentBytes: 16 * 1024 });
  expect(problems.map(String)).toEqual([expect.stringContaining(told)]);
});

/** Changes the one segment; takes it away where nothing is given for its bytes. */
function damage(change: (bytes: Buffer) => Buffer | undefined): void {
  const [name = ""] = readdirSync(journalFolder(folder)).filter((file) => file.startsWith("decisions"));
  const path = join(journalFolder(folder), name);
  const bytes = change(readFileSync(path));
  if (bytes === undefined) rmSync(path);
  else writeFileSync(path, bytes);
}

test("a torn tail loses nothing that was acknowledged", async () => {
  const first = await start();
  for (let n = 0; n < 3; n += 1) await first.log.record(anEvent());
  await crash(first);
  const [name = ""] = readdirSync(journalFolder(folder)).filter((file) => file.startsWith("decisions"));
  const path = join(journalFolder(folder), name);
  const bytes = readFileSync(path);
  const end = bytes.findLastIndex((byte) => byte !== 0) + 1;
  const fd = openSync(path, "r+");
  // The start of one more frame: a valid head whose body never came.
  writeSync(fd, bytes.subarray(0, 20), 0, 20, end);
  closeSync(fd);
  const { store, problems } = await start();
  expect(await allEvents(store)).toHaveLength(3);
  expect(problems).toEqual([]);
});

test("keeps its files to their owner", async () => {
  await start();
  expect(statSync(journalFolder(folder)).mode & 0o777).toBe(0o700);
  for (const file of readdirSync(journalFolder(folder))) {
    expect(statSync(join(journalFolder(folder), file)).mode & 0o777).toBe(0o600);
  }
});

test("refuses while the journal cannot be written, keeps outcomes, and recovers by itself", async () => {
  let isFull = false;
  const wrapJournal = (journal: DecisionJournal): DecisionJournal =>
    withCommit(journal, (entries) => (isFull ? Promise.reject(new Error("ENOSPC")) : journal.commit(entries)));
  const { log, store } = await start({ wrapJournal });
  const running = aDecision();
  await log.stage(running);
  isFull = true;
  const refused = aDecision();
  await expect(log.stage(refused)).rejects.toMatchObject({ code: "unavailable" });
  await expect(log.record(anEvent())).rejects.toMatchObject({ code: "unavailable" });
  log.settle(running.id, { outcome: "success", durationMs: 1 });
  log.settle(refused.id, { outcome: "success", durationMs: 1 });
  await expect(log.flush()).rejects.toMatchObject({ code: "unavailable" });
  expect(log.isHealthy).toBe(false);
  isFull = false;
  await expect.poll(() => log.isHealthy, { timeout: 5_000 }).toBe(true);
  await log.record(anEvent());
  await log.flush();
  expect((await allEvents(store)).map(({ outcome }) => outcome)).toEqual(["success", "denied"]);
});

test("shares a write among more decisions while the loop has no time to spare", async () => {
  let writes = 0;
  const wrapJournal = (journal: DecisionJournal): DecisionJournal =>
    withCommit(journal, (entries) => {
      writes += 1;
      return journal.commit(entries);
    });
  const { log } = await start({ wrapJournal });
  const staged: Promise<void>[] = [];
  for (let turn = 0; turn < 200; turn += 1) {
    // Begun before, so that the next turn brings its decision before this one is written: two share a write at least.
    const passed = new Promise(setImmediate);
    const until = performance.now() + 1;
    while (performance.now() < until);
    staged.push(log.stage(aDecision()));
    await passed;
  }
  await Promise.all(staged);
  expect(writes).toBeLessThan(80);
});

test("tries a full disk once a second, however much comes meanwhile", async () => {
  let isFull = false;
  let tries = 0;
  const wrapJournal = (journal: DecisionJournal): DecisionJournal =>
    withCommit(journal, (entries) => {
      if (!isFull) return journal.commit(entries);
      tries += 1;
      return Promise.reject(new Error("ENOSPC"));
    });
  const { log, store } = await start({ wrapJournal });
  isFull = true;
  await expect(log.record(anEvent())).rejects.toMatchObject({ code: "unavailable" });
  for (let n = 0; n < 40; n += 1) {
    log.post(anEvent());
    log.hurry();
    await sleep(5);
  }
  expect(tries).toBe(1);
  isFull = false;
  await expect.poll(() => log.isHealthy, { timeout: 5_000 }).toBe(true);
  await log.flush();
  expect(await allEvents(store)).toHaveLength(40);
});

test("a flush takes along the outcomes that wait for their decisions to be written", async () => {
  const { log, store } = await start();
  const decision = aDecision();
  const staged = log.stage(decision, 60_000);
  const settled = staged.then(() => log.settle(decision.id, { outcome: "success", durationMs: 1 }));
  await log.flush();
  await settled;
  expect(await allEvents(store)).toMatchObject([{ id: decision.id, outcome: "success" }]);
  const last = aDecision();
  void log.stage(last, 60_000).then(() => log.settle(last.id, { outcome: "denied", durationMs: 1 }));
  await log.close();
  expect((await allEvents(store)).at(-1)).toMatchObject({ id: last.id, outcome: "denied" });
});

test("does not copy its open decisions again at each commit, however many there are", async () => {
  const { log, store } = await start({ segmentBytes: 16 * 1024 });
  const open = Array.from({ length: 100 }, () => aDecision());
  await Promise.all(open.map((decision) => log.stage(decision)));
  const newest = (): number =>
    Math.max(...readdirSync(journalFolder(folder)).map((name) => Number(name.match(/\d+/)?.[0] ?? 0)));
  const before = newest();
  for (let n = 0; n < 30; n += 1) await log.record(anEvent());
  expect(newest() - before).toBeLessThanOrEqual(2);
  for (const { id } of open) log.settle(id, { outcome: "success", durationMs: 1 });
  await log.flush();
  expect(await allEvents(store)).toHaveLength(130);
});

test("survives the loss of its folder for a while: refuses, recovers, and keeps what it acknowledged", async () => {
  const parts = await start({ segmentBytes: 16 * 1024 });
  const { log, store } = parts;
  const running = aDecision();
  await log.stage(running);
  renameSync(journalFolder(folder), `${journalFolder(folder)}-away`);
  const acknowledged: string[] = [];
  const fill = async (): Promise<void> => {
    for (let n = 0; n < 100; n += 1) {
      const event = anEvent();
      await log.record(event);
      acknowledged.push(event.id);
    }
  };
  await expect(fill()).rejects.toMatchObject({ code: "unavailable" });
  log.settle(running.id, { outcome: "success", durationMs: 1 });
  renameSync(`${journalFolder(folder)}-away`, journalFolder(folder));
  await expect.poll(() => log.isHealthy, { timeout: 5_000 }).toBe(true);
  await fill();
  await log.flush();
  const before = await allEvents(store);
  expect(before.map(({ id }) => id).toSorted()).toEqual([...acknowledged, running.id].toSorted());
  await crash(parts);
  expect(await allEvents((await start()).store)).toEqual(before);
});

test("refuses when too much waits for the database", async () => {
  const { log, store, problems } = await start({ depthMax: 10, wrapStore: (real) => unwritable(real, () => true) });
  for (let n = 0; n < 10; n += 1) await log.record(anEvent());
  await expect(log.record(anEvent())).rejects.toMatchObject({ code: "unavailable" });
  await expect(log.stage(aDecision())).rejects.toMatchObject({ code: "unavailable" });
  log.post(anEvent());
  expect(problems.map(String).join()).toContain("dropped");
  expect(await allEvents(store)).toEqual([]);
});

test("refuses once the database could not be written for long, as no revocation can be either, until it can be again", async () => {
  let isDown = true;
  const { log, store } = await start({ failingMsMax: 100, wrapStore: (real) => unwritable(real, () => isDown) });
  await log.record(anEvent());
  await vi.waitFor(() => expect(() => log.refuseIfUnable()).toThrow("the database cannot be written"), 10_000);
  await expect(log.stage(aDecision())).rejects.toMatchObject({ code: "unavailable" });
  isDown = false;
  await vi.waitFor(() => log.refuseIfUnable(), 10_000);
  await log.record(anEvent());
  await log.flush();
  expect(await allEvents(store)).toHaveLength(2);
});

/** As on a full disk. */
function unwritable(store: Store, isDown: () => boolean): Store {
  return {
    dialect: store.dialect,
    read: (work) => store.read(work),
    readForCaller: (work, signal) => store.readForCaller(work, signal),
    transaction: (work) => (isDown() ? Promise.reject(new Error("database gone")) : store.transaction(work)),
    onCommitted: (listener) => store.onCommitted(listener),
    ping: () => store.ping(),
    close: () => store.close(),
  };
}

test("a decision that may linger is written when somebody waits for it, or soon by itself", async () => {
  const { log } = await start();
  let isDurable = false;
  const lingering = log.stage(aDecision(), 60_000).then(() => (isDurable = true));
  await sleep(100);
  expect([isDurable, log.openDecisions]).toEqual([false, 0]);
  log.hurry();
  await lingering;
  // What lingers shorter than what lingers already waits no longer for that.
  const long = log.stage(aDecision(), 60_000);
  await log.stage(aDecision(), 1);
  await long;
  expect(log.openDecisions).toBe(3);
});

test("close settles what is open, and refuses afterwards", async () => {
  const { log, store } = await start();
  const decision = aDecision();
  await log.stage(decision);
  await log.close();
  expect(await allEvents(store)).toMatchObject([{ id: decision.id, outcome: "error", reason: "shutdown" }]);
  await expect(log.stage(aDecision())).rejects.toMatchObject({ code: "unavailable" });
});

test("announces a tool call that runs longer than a minute, once", async () => {
  let now = Date.now();
  const { log, store } = await start({ clock: { now: () => now } });
  const [call, read] = [aDecision(), aDecision({ action: "resource.read" })];
  await log.stage(call);
  await log.stage(read);
  now += 61_000;
  const started = { action: "tool.started", correlationId: call.correlationId, details: { call: call.id } };
  await expect.poll(() => log.flush().then(() => allEvents(store)), { timeout: 5_000 }).toMatchObject([started]);
  await new Promise((resolve) => setTimeout(resolve, 1_200));
  log.settle(call.id, { outcome: "success", durationMs: 61_000 });
  log.settle(read.id, { outcome: "success", durationMs: 61_000 });
  await log.flush();
  const actions = (await allEvents(store)).map(({ action }) => action);
  expect(actions).toEqual(["tool.started", "tool.call", "resource.read"]);
});

test("an outcome with details that JSON cannot hold is kept without them, and told", async () => {
  const { log, store, problems } = await start();
  const decision = aDecision();
  await log.stage(decision);
  log.settle(decision.id, { outcome: "success", durationMs: 1, details: { size: 1n } });
  await log.flush();
  expect(await allEvents(store)).toMatchObject([{ id: decision.id, outcome: "success" }]);
  expect(problems).toHaveLength(1);
});
