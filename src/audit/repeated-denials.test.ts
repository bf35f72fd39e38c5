import { afterEach, expect, test, vi } from "vitest";
import type { AuditEventDraft } from "../domain/audit-event.ts";
import { newId } from "../lib/ids.ts";
import { RepeatedDenials } from "./repeated-denials.ts";

afterEach(() => {
  vi.useRealTimers();
});

function start() {
  vi.useFakeTimers();
  const events: AuditEventDraft[] = [];
  const denials = new RepeatedDenials({ emit: (event) => events.push(event) });
  const write = (event: AuditEventDraft): Promise<void> => {
    events.push(event);
    return Promise.resolve();
  };
  return { events, denials, record: (given: Given) => denials.record(aDenial(given), write) };
}

interface Given {
  readonly actor?: string;
  readonly operation?: string;
  readonly reason?: string;
}

function aDenial({ actor = "k", operation = "create_agent", reason = "forbidden" }: Given): AuditEventDraft {
  return {
    id: newId(),
    time: Date.now(),
    actor: { type: "key", id: actor, name: actor },
    action: operation,
    resource: { type: "operation", id: operation, name: operation },
    outcome: "denied",
    reason,
    correlationId: newId(),
    details: { kept: true },
  };
}

const counts = (events: readonly AuditEventDraft[]): unknown[] => events.map(({ details }) => details["count"] ?? 1);

test("records the first of a caller, action and reason at once, and the rest once per interval", async () => {
  const { events, record } = start();
  for (let n = 0; n < 100; n += 1) await record({});
  await record({ actor: "other" });
  await record({ operation: "delete_agent" });
  await record({ reason: "self_approval" });
  expect(counts(events)).toEqual([1, 1, 1, 1]);
  vi.advanceTimersByTime(60_000);
  expect(counts(events)).toEqual([1, 1, 1, 1, 99]);
  expect(events[4]).toMatchObject({ actor: { id: "k" }, outcome: "denied", details: { kept: true, count: 99 } });
  expect(new Set(events.map(({ id }) => id)).size).toBe(5);
});

test("a caller that goes on costs one event per interval, one that stopped none", async () => {
  const { events, record } = start();
  for (let minute = 0; minute < 3; minute += 1) {
    await record({});
    await record({});
    vi.advanceTimersByTime(60_000);
  }
  vi.advanceTimersByTime(600_000);
  expect(counts(events)).toEqual([1, 1, 2, 2]);
});

test("a flood from 10 000 callers makes a bounded number of events and loses no count", async () => {
  const { events, denials, record } = start();
  for (let n = 0; n < 10_000; n += 1) await record({ actor: `k${n}` });
  denials.close();
  expect(events.length).toBeLessThanOrEqual(1002);
  expect(counts(events).reduce<number>((sum, count) => sum + Number(count), 0)).toBe(10_000);
  expect(events.at(-1)?.actor).toMatchObject({ type: "anonymous", name: "many callers" });
});

test("a first one that could not be written is written with the next", async () => {
  const { events, denials, record } = start();
  await expect(denials.record(aDenial({}), () => Promise.reject(new Error("disk full")))).rejects.toThrow("disk full");
  await record({});
  expect(counts(events)).toEqual([1]);
});

test("what repeats a first one that is not written yet shares its end", async () => {
  const { events, denials, record } = start();
  const first = Promise.withResolvers<void>();
  const ends = [denials.record(aDenial({}), () => first.promise), record({}), record({})];
  first.reject(new Error("disk full"));
  const settled = await Promise.allSettled(ends);
  expect(settled.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
  await record({});
  denials.close();
  expect(counts(events)).toEqual([1]);
});
