import type { Logger } from "pino";
import { createLruCache } from "../lib/lru-cache.ts";

/** One line about the same trouble in so long: a flood of calls to a dead server must not fill the disk. */
const INTERVAL_MS = 5_000;
const KNOWN_MAX = 1_000;

/**
 * Logs what went wrong, as an error with its cause. What was left out since the line before is counted in the next one's `repeated`.
 * Times are of `now`, in milliseconds of any steady clock.
 */
export function createProblemLog(
  logger: Logger,
  now: () => number = () => performance.now(),
): (message: string, cause?: unknown) => void {
  const known = createLruCache<{ readonly at: number; repeated: number }>(KNOWN_MAX);
  return (message, cause) => {
    const at = now();
    const last = known.get(message);
    if (last !== undefined && at - last.at < INTERVAL_MS) {
      last.repeated += 1;
      return;
    }
    known.set(message, { at, repeated: 0 });
    logger.error({ err: cause, ...(last === undefined ? {} : { repeated: last.repeated }) }, message);
  };
}
