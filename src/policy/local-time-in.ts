import { createLocalTime, type LocalTime } from "./local-time.ts";

const MINUTE_MS = 60_000;
const clocks = new Map<string, (nowMs: number) => LocalTime>();
let last: { readonly minute: number; readonly timeZone: string; readonly time: LocalTime } | undefined;

/** The local time of a moment. Every message asks, mostly in the same minute, so the last answer is kept. Throws for an unknown zone. */
export function localTimeIn(timeZone: string, nowMs: number): LocalTime {
  const minute = Math.floor(nowMs / MINUTE_MS);
  if (last?.minute === minute && last.timeZone === timeZone) return last.time;
  const time = clockOf(timeZone)(nowMs);
  last = { minute, timeZone, time };
  return time;
}

/** Whether this is the IANA name of a zone that the runtime knows. */
export function isTimeZone(name: string): boolean {
  try {
    clockOf(name);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function clockOf(timeZone: string): (nowMs: number) => LocalTime {
  const clock = clocks.get(timeZone) ?? createLocalTime(timeZone);
  clocks.set(timeZone, clock);
  return clock;
}
