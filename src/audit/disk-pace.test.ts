import { expect, test } from "vitest";
import { DiskPace } from "./disk-pace.ts";

function aPace() {
  let now = 0;
  const pace = new DiskPace(() => now);
  const pass = (ms: number): void => void (now += ms);
  const writeFor = (ms: number): void => pace.measure(() => pass(ms));
  return { pace, pass, writeFor };
}

test("stays quick with a slow write now and then", () => {
  const { pace, writeFor } = aPace();
  for (let round = 0; round < 100; round += 1) {
    for (let n = 0; n < 30; n += 1) writeFor(0.4);
    writeFor(15);
    expect(pace.isQuick).toBe(true);
  }
});

test("rests after one long write", () => {
  const { pace, writeFor } = aPace();
  writeFor(0.4);
  writeFor(50);
  expect(pace.isQuick).toBe(false);
});

test("gives a slow disk a handful of writes after ten seconds, and less often each time that it is slow again", () => {
  const { pace, pass, writeFor } = aPace();
  const restMs = (): number => {
    let writes = 0;
    for (; pace.isQuick; writes += 1) writeFor(10);
    expect(writes).toBeLessThanOrEqual(5);
    let ms = 0;
    for (; !pace.isQuick; ms += 1_000) pass(1_000);
    return ms;
  };
  expect(Array.from({ length: 7 }, restMs)).toEqual([10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]);
  pass(300_001);
  expect(restMs()).toBe(10_000);
});

test("learns from a write that fails, and passes its error on", () => {
  const { pace, pass } = aPace();
  const fail = (): never => {
    pass(50);
    throw new Error("EIO");
  };
  expect(() => pace.measure(fail)).toThrow("EIO");
  expect(pace.isQuick).toBe(false);
});
