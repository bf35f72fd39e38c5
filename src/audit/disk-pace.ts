import { performance } from "node:perf_hooks";

/** What a write that the event loop waits for may take on average; another thread takes 1 to 2 ms longer than the disk. */
const QUICK_MS = 3;
/** Where a trial begins: far enough below that one slow write among quick ones does not end it. */
const TRIAL_MS = 1;
const WEIGHT = 1 / 16;
/** A disk that turned slow is tried again after this time, with a handful of writes; each time that it is slow again, after twice that. */
const REST_MS = 10_000;
const REST_MS_MAX = 5 * 60_000;

/**
 * Whether the disk answers a durable write about as soon as another thread could be asked and heard, by what the last writes took:
 * one of 50 ms, or a few of 10, say no for ten seconds or more.
 */
export class DiskPace {
  readonly #now: () => number;
  #meanMs = TRIAL_MS;
  #restMs = REST_MS;
  #restsUntil = -Infinity;

  /** `now` gives milliseconds of a clock that never goes back. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  get isQuick(): boolean {
    return this.#now() >= this.#restsUntil;
  }

  /** Runs a write for which the caller waits, and learns from it. */
  measure<T>(write: () => T): T {
    const startedAt = this.#now();
    try {
      return write();
    } finally {
      this.#learn(this.#now() - startedAt);
    }
  }

  #learn(durationMs: number): void {
    this.#meanMs += (durationMs - this.#meanMs) * WEIGHT;
    if (this.#meanMs <= QUICK_MS) return;
    this.#meanMs = TRIAL_MS;
    const now = this.#now();
    const wasQuickForLong = now - this.#restsUntil > this.#restMs;
    this.#restMs = wasQuickForLong ? REST_MS : Math.min(this.#restMs * 2, REST_MS_MAX);
    this.#restsUntil = now + this.#restMs;
  }
}
