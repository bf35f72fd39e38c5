import { performance } from "node:perf_hooks";

/** A loop that is at work for more than this share of its time has company for every entry; the others are kept by a wait. */
const HIGH = 0.65;
/** Long enough for a share to mean something, short enough to follow bursts. */
const WINDOW_MS = 20;

/** How much of its time the event loop of this thread was at work, by the kernel's account of when it waited (libuv's idle time). */
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
