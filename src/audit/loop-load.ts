import { performance } from "node:perf_hooks";

/** A gateway that gathers under load is at work for 75 to 90 % of its time; one whose upstreams are slow waits for half of it. */
const HIGH = 0.65;
/** Long enough for a share to mean something, short enough to follow bursts. */
const WINDOW_MS = 20;

/**
 * How much of its time the event loop of this thread does not wait for something to happen (libuv's own account). A write that blocks the
 * loop counts as work.
 */
export class LoopLoad {
  #isHigh = false;
  #measuredAt = performance.now();
  #measured = performance.eventLoopUtilization();

  /** As of the last 20 ms or more. */
  get isHigh(): boolean {
    const now = performance.now();
    if (now - this.#measuredAt < WINDOW_MS) return this.#isHigh;
    const measured = performance.eventLoopUtilization();
    this.#isHigh = performance.eventLoopUtilization(measured, this.#measured).utilization > HIGH;
    this.#measuredAt = now;
    this.#measured = measured;
    return this.#isHigh;
  }
}
