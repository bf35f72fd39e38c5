import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TurnQueue } from "./turn-queue.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("refuses who waits behind a turn that does not end, and goes on afterwards", async () => {
  const queue = new TurnQueue();
  const stuck = Promise.withResolvers<string>();
  const first = queue.take(() => stuck.promise);
  const second = queue.take(() => Promise.resolve("second"));
  const refused = expect(second).rejects.toMatchObject({ code: "unavailable" });
  await vi.advanceTimersByTimeAsync(15_000);
  await refused;
  const third = queue.take(() => Promise.resolve("third"));
  stuck.resolve("first");
  expect(await Promise.all([first, third])).toEqual(["first", "third"]);
  await queue.drained();
});

test("refuses at once when too many wait, and serves the others in order", async () => {
  const queue = new TurnQueue();
  const order: number[] = [];
  const turns = Array.from({ length: 2_001 }, (_, index) => queue.take(async () => void order.push(index)));
  await expect(queue.take(() => Promise.resolve())).rejects.toMatchObject({ code: "unavailable" });
  await Promise.all(turns);
  expect(order).toEqual(turns.map((_, index) => index));
});

test("passes the turn on when work fails", async () => {
  const queue = new TurnQueue();
  await expect(queue.take(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(await queue.take(() => Promise.resolve("next"))).toBe("next");
});
