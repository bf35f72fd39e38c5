import { afterEach, expect, test, vi } from "vitest";
import type { AuditEventDraft } from "../domain/audit-event.ts";
import { AuthFailureAggregator } from "./auth-failures.ts";

afterEach(() => {
  vi.useRealTimers();
});

function start(): { events: AuditEventDraft[]; failures: AuthFailureAggregator } {
  vi.useFakeTimers();
  const events: AuditEventDraft[] = [];
  const clock = { now: () => Date.now() };
  return { events, failures: new AuthFailureAggregator({ clock, emit: (event) => events.push(event) }) };
}

test("tells the first failure of an address at once and counts the rest once per interval", () => {
  const { events, failures } = start();
  for (let n = 0; n < 100; n += 1) failures.note({ ip: "10.0.0.1", kind: "unknown_key", hint: `rl_org_…${n}` });
  expect(events.map(({ details }) => details["count"])).toEqual([1]);
  vi.advanceTimersByTime(60_000);
  expect(events.map(({ details }) => details["count"])).toEqual([1, 99]);
  expect(events[1]).toMatchObject({
    action: "auth.failure",
    outcome: "denied",
    reason: "unknown_key",
    actor: { type: "anonymous", ip: "10.0.0.1" },
    details: { hints: ["rl_org_…1", "rl_org_…2", "rl_org_…3", "rl_org_…4", "rl_org_…5"] },
  });
});

test("an address that keeps failing costs one event per interval, one that stopped none", () => {
  const { events, failures } = start();
  for (let minute = 0; minute < 3; minute += 1) {
    failures.note({ ip: "10.0.0.1", kind: "unknown_key" });
    failures.note({ ip: "10.0.0.1", kind: "unknown_key" });
    vi.advanceTimersByTime(60_000);
  }
  vi.advanceTimersByTime(600_000);
  expect(events.map(({ details }) => details["count"])).toEqual([1, 1, 2, 2]);
});

test("keeps kinds apart", () => {
  const { events, failures } = start();
  failures.note({ ip: "10.0.0.1", kind: "unknown_key" });
  failures.note({ ip: "10.0.0.1", kind: "revoked_key" });
  expect(events.map(({ reason }) => reason)).toEqual(["unknown_key", "revoked_key"]);
});

test("a flood from 10 000 addresses makes a bounded number of events and loses no count", () => {
  const { events, failures } = start();
  for (let n = 0; n < 10_000; n += 1) failures.note({ ip: `10.1.${n >> 8}.${n & 255}`, kind: "unknown_key" });
  failures.close();
  expect(events.length).toBeLessThanOrEqual(201);
  expect(events.reduce((sum, { details }) => sum + Number(details["count"]), 0)).toBe(10_000);
});
