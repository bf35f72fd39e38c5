import { expect, test } from "vitest";
import { HeldRuns } from "./held-runs.ts";

const HOUR_MS = 3_600_000;
const journal = (json: string) => [{ key: "k", reply: { ok: true, json } as const }];
const kept = (agentId: string, json = "1", nowMs = 0) => ({ agentId, journal: journal(json), nowMs, ttlMs: HOUR_MS });

test("gives what a paused run has made once, and not when its time is over", () => {
  const runs = new HeldRuns();
  runs.keep("a", kept("one"));
  expect(runs.take("a", HOUR_MS - 1)?.journal).toEqual(journal("1"));
  expect(runs.take("a", HOUR_MS - 1)).toBeUndefined();
  runs.keep("b", kept("one"));
  expect(runs.take("b", HOUR_MS)).toBeUndefined();
});

test("keeps what is put back for the time that it had, and nothing in the place of what was kept meanwhile", () => {
  const runs = new HeldRuns();
  runs.keep("a", kept("one"));
  const taken = runs.take("a", 1);
  if (taken === undefined) throw new Error("nothing was kept");
  runs.putBack("a", taken);
  expect(runs.take("a", HOUR_MS - 1)).toBe(taken);
  runs.putBack("a", taken);
  expect(runs.take("a", HOUR_MS)).toBeUndefined();
  runs.keep("a", kept("one", "2"));
  runs.putBack("a", taken);
  expect(runs.take("a", 1)?.journal).toEqual(journal("2"));
  const longer = { ...taken, journal: [...taken.journal, ...journal("3")] };
  runs.keep("a", kept("one", "2"));
  runs.putBack("a", longer);
  expect(runs.take("a", 1)).toBe(longer);
});

test("an agent with many paused runs loses its own oldest, and nobody else's", () => {
  const runs = new HeldRuns();
  runs.keep("other", kept("two"));
  for (let n = 0; n < 40; n += 1) runs.keep(`own-${n}`, kept("one"));
  expect(runs.take("other", 1)?.journal).toHaveLength(1);
  const left = Array.from({ length: 40 }, (_, n) => runs.take(`own-${n}`, 1)?.journal.length ?? 0);
  expect(left.reduce((sum, one) => sum + one, 0)).toBe(16);
  expect(left.slice(24)).not.toContain(0);
});

test("all paused runs together hold no more than the node bears", () => {
  const runs = new HeldRuns();
  const large = "x".repeat(8 * 1024 * 1024);
  for (let n = 0; n < 12; n += 1) runs.keep(`run-${n}`, kept(`agent-${n}`, large));
  const left = Array.from({ length: 12 }, (_, n) => runs.take(`run-${n}`, 1)?.journal.length ?? 0);
  expect(left).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1]);
});
