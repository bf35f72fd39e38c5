import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { LoopLoad } from "./loop-load.ts";

function work(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}

test("is high while the loop is at work, and not while it waits", async () => {
  const load = new LoopLoad();
  await sleep(200);
  expect(load.isHigh).toBe(false);
  for (let turn = 0; turn < 20; turn += 1) {
    work(10);
    await new Promise(setImmediate);
  }
  expect(load.isHigh).toBe(true);
  await sleep(200);
  expect(load.isHigh).toBe(false);
});
