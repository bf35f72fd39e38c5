import { expect, test } from "vitest";
import { createLocalTime } from "./local-time.ts";

test("tells minute and day in the organization's zone, across midnight and daylight saving", () => {
  const berlin = createLocalTime("Europe/Berlin");
  expect(berlin(Date.UTC(2026, 10, 22, 23, 5))).toEqual({ minuteOfDay: 5, weekday: "monday" });
  expect(berlin(Date.UTC(2026, 6, 1, 16, 30))).toEqual({ minuteOfDay: 18 * 60 + 30, weekday: "wednesday" });
  expect(createLocalTime("UTC")(Date.UTC(2026, 10, 22))).toEqual({ minuteOfDay: 0, weekday: "sunday" });
});

test("refuses a zone that does not exist", () => {
  expect(() => createLocalTime("Mars/Olympus")).toThrow(RangeError);
});
