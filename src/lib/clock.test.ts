import { assert, constantFrom, double, integer, oneof, property } from "fast-check";
import { expect, it } from "vitest";
import { toRfc3339 } from "./clock.ts";

const YEAR_MS = 366 * 24 * 3600 * 1000;

it("writes a time as `Date` does, whatever was written before", () => {
  const near = constantFrom(0, 1, 999, 1000, 1001, 1999, -1, -999, -1000, -1001, -0.5, 999.9);
  const any = integer({ min: -3000 * YEAR_MS, max: 9000 * YEAR_MS });
  const fraction = double({ min: -100 * YEAR_MS, max: 100 * YEAR_MS, noNaN: true });
  assert(
    property(oneof(near, any, fraction), (timeMs) => {
      expect(toRfc3339(timeMs)).toBe(new Date(timeMs).toISOString());
      expect(toRfc3339(timeMs + 1)).toBe(new Date(timeMs + 1).toISOString());
    }),
    { numRuns: 2_000 },
  );
});

it.each([Number.NaN, Infinity, -Infinity])("refuses %d", (timeMs) => {
  toRfc3339(0);
  expect(() => toRfc3339(timeMs)).toThrow(RangeError);
});
