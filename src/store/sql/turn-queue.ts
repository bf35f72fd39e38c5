import { AppError } from "../../lib/errors.ts";

export interface TurnLimits {
  /** How many may work at a time. */
  readonly turns: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** What a caller is told that waits too long, or finds too many before it. */
  readonly refusal: string;
}

interface Waiter {
  readonly start: () => void;
}

/** A few at a time, first come first served. A caller that waits too long, or finds too many before it, gets `unavailable`. */
export class TurnQueue {
  readonly #limits: TurnLimits;
  readonly #waiters = new Set<Waiter>();
  #taken = 0;
  #onDrained: (() => void)[] = [];

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  /** Who waits leaves the queue when `signal` aborts: `timeout`. Work that has begun is not ended by it. */
  async take<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    if (signal !== undefined) assertWanted(signal);
    await this.#turn(signal);
    try {
      return await work();
    } finally {
      this.#pass();
    }
  }

  /** Resolves when nobody works or waits. */
  drained(): Promise<void> {
    if (this.#taken === 0) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  #turn(signal: AbortSignal | undefined): Promise<void> {
    const { turns, waitingMax, waitMsMax, refusal } = this.#limits;
    if (this.#taken < turns) {
      this.#taken += 1;
      return Promise.resolve();
    }
    if (this.#waiters.size >= waitingMax) return Promise.reject(new AppError("unavailable", refusal));
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        this.#waiters.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        outcome();
      };
      const waiter: Waiter = { start: () => settle(resolve) };
      const onAbort = (): void => settle(() => reject(unwanted(signal?.reason)));
      const timer = setTimeout(() => settle(() => reject(new AppError("unavailable", refusal))), waitMsMax);
      signal?.addEventListener("abort", onAbort);
      this.#waiters.add(waiter);
    });
  }

  #pass(): void {
    const [next] = this.#waiters;
    if (next !== undefined) return next.start();
    this.#taken -= 1;
    if (this.#taken > 0) return;
    for (const resolve of this.#onDrained.splice(0)) resolve();
  }
}

/** Throws `timeout` where whoever asked has gone. */
export function assertWanted(signal: AbortSignal): void {
  if (signal.aborted) throw unwanted(signal.reason);
}

function unwanted(cause: unknown): AppError {
  return new AppError("timeout", "whoever asked has gone, so it was not looked up", { cause });
}
