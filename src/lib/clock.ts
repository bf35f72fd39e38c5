/** Where time comes from. Code that decides or records takes a clock, so that tests can hold it. */
export interface Clock {
  /** Milliseconds since the Unix epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };

/** RFC 3339 in UTC with milliseconds, the only form of a time that leaves the program. */
export function toRfc3339(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
