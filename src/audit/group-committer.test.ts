import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "vitest";
import { aDecision, newFolder, openAudit, removeFolder, type AuditParts } from "../../test/harness/audit.ts";

let folder: string;
let parts: AuditParts;
/** How many entries each write of the journal held. */
let groups: number[];

beforeEach(async () => {
  folder = newFolder();
  groups = [];
  parts = await openAudit(folder, {
    wrapJournal: (journal) => ({
      isImmediate: true,
      recover: () => journal.recover(),
      commit: (entries) => {
        groups.push(entries.length);
        return journal.commit(entries);
      },
      claim: (repositories, events) => journal.claim(repositories, events),
      release: (events) => journal.release(events),
      close: () => journal.close(),
    }),
  });
});

afterEach(async () => {
  await parts.log.close();
  await parts.store.close();
  removeFolder(folder);
});

test("a busy loop writes together what comes with some turns between that bring nothing", async () => {
  // On a machine with other work, turns may take longer than decisions are gathered.
  for (let tries = 0; tries < 20 && !groups.includes(2); tries += 1) {
    await keepBusy();
    await twoDecisions();
  }
  expect(groups).toContain(2);
});

test("a loop at leisure writes what a turn brought", async () => {
  // Opening the log kept this loop busy, and a machine with other work may let it wait for its turn: that counts as busy, too.
  for (let tries = 0; tries < 20 && !endsInTwoWrites(); tries += 1) {
    await sleep(50);
    await twoDecisions();
  }
  expect(groups.slice(-2)).toEqual([1, 1]);
});

function endsInTwoWrites(): boolean {
  return groups.length > 1 && groups.slice(-2).every((entries) => entries === 1);
}

/** The second comes when two turns have passed. */
async function twoDecisions(): Promise<void> {
  const first = parts.log.stage(aDecision());
  await nextTurn();
  await nextTurn();
  await Promise.all([first, parts.log.stage(aDecision())]);
}

async function keepBusy(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) {
    const until = performance.now() + 10;
    while (performance.now() < until);
    await nextTurn();
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
