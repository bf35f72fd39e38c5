import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/**
 * Gives back what a start has left: V8 itself would keep it until much more is allocated, and pages that are half empty for good. Takes
 * this thread 0.1 s, so it is for once, at the end of a start.
 */
export function collectGarbage(): void {
  // `gc` exists only in contexts that are made while the flag is on, and another thread of the process may take it back just then.
  setFlagsFromString("--expose-gc");
  runInNewContext('globalThis.gc?.({ type: "major", execution: "sync", flavor: "last-resort" })');
  setFlagsFromString("--no-expose-gc");
}
