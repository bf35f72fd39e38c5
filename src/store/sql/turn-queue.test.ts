import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { TurnQueue } from "./turn-queue.ts";

const ONE = { turns: 1, waitingMax: 2_000, waitMsMax: 15_000, refusal: "too many" };

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("refuses who waits behind a turn that does not end, and goes on afterwards", async () => {
  const queue = new TurnQueue(ONE);
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
  const queue = new TurnQueue(ONE);
  const order: number[] = [];
  const turns = Array.from({ length: 2_001 }, (_, index) => queue.take(async () => void order.push(index)));
  await expect(queue.take(() => Promise.resolve())).rejects.toMatchObject({ code: "unavailable" });
  await Promise.all(turns);
  expect(order).toEqual(turns.map((_, index) => index));
});

test("passes the turn on when work fails", async () => {
  const queue = new TurnQueue(ONE);
  await expect(queue.take(() => Promise.reject(new Error("failed")))).rejects.toThrow("failed");
  expect(await queue.take(() => Promise.resolve("next"))).toBe("next");
});

test("lets as many work at once as it has turns", async () => {
  const queue = new TurnQueue({ ...ONE, turns: 2 });
  const stuck = Promise.withResolvers<string>();
  const first = queue.take(() => stuck.promise);
  expect(await queue.take(() => Promise.resolve("beside it"))).toBe("beside it");
  const second = queue.take(() => stuck.promise);
  const third = queue.take(() => Promise.resolve("after them"));
  stuck.resolve("stuck");
  expect(await Promise.all([first, second, third])).toEqual(["stuck", "stuck", "after them"]);
  await queue.drained();
});

test("lets who is not wanted any more leave the queue, and does not begin for one that never was", async () => {
  const queue = new TurnQueue({ ...ONE, waitingMax: 1 });
  const stuck = Promise.withResolvers<string>();
  const first = queue.take(() => stuck.promise);
  const caller = new AbortController();
  let hasBegun = false;
  const begin = () => Promise.resolve((hasBegun = true));
  const left = queue.take(begin, { signal: caller.signal });
  caller.abort();
  await expect(left).rejects.toMatchObject({ code: "timeout" });
  const next = queue.take(() => Promise.resolve("next"));
  stuck.resolve("first");
  expect(await Promise.all([first, next])).toEqual(["first", "next"]);
  await expect(queue.take(begin, { signal: caller.signal })).rejects.toMatchObject({ code: "timeout" });
  expect(hasBegun).toBe(false);
});

test("gives every other turn to those that wish to be next", async () => {
  const queue = new TurnQueue({ ...ONE, waitingMax: 3 });
  const order: string[] = [];
  const take = (name: string, isNext = false) => queue.take(async () => void order.push(name), { isNext });
  const all = [take("running"), take("a"), take("b"), take("c")];
  // A full queue of others keeps none of them out.
  all.push(take("x", true), take("y", true), take("z", true));
  await Promise.all(all);
  expect(order).toEqual(["running", "x", "a", "y", "b", "z", "c"]);
  await queue.drained();
});
