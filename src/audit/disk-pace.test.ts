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

test("gives a slow disk a handful of writes every ten seconds", () => {
  const { pace, pass, writeFor } = aPace();
  for (let round = 0; round < 5; round += 1) {
    let writes = 0;
    for (; pace.isQuick; writes += 1) writeFor(10);
    expect(writes).toBeLessThanOrEqual(5);
    pass(9_999);
    expect(pace.isQuick).toBe(false);
    pass(1);
    expect(pace.isQuick).toBe(true);
  }
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
