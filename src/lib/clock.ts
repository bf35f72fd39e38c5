/** Where time comes from. Code that decides or records takes a clock, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** The second that was written last: events come many a second, and the rest of a time is three digits. */
let last = { second: NaN, text: "" };

/** RFC 3339 in UTC with milliseconds, the only form of a time that leaves the program. Throws `RangeError` for a second that no `Date` holds. */
export function toRfc3339(timeMs: number): string {
  const whole = Math.trunc(timeMs);
  const second = Math.floor(whole / 1000);
  if (second !== last.second) last = { second, text: new Date(second * 1000).toISOString().slice(0, -4) };
  return `${last.text}${String(whole - second * 1000).padStart(3, "0")}Z`;
}
