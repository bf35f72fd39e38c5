import { AppError } from "../../lib/errors.ts";

export interface TurnLimits {
  /** How many may work at a time. */
  readonly turns: number;
  readonly waitingMax: number;
  readonly waitMsMax: number;
  /** What a caller is told that waits too long, or finds too many before it. */
  readonly refusal: string;
}

export interface TurnWish {
  /** Who waits leaves the queue when this aborts: `timeout`. Work that has begun is not ended by it. */
  readonly signal?: AbortSignal | undefined;
  /** Before those that wait already, but only every other turn, so that nobody waits for ever. */
  readonly isNext?: boolean | undefined;
}

interface Waiter {
  readonly start: () => void;
}

/** A few at a time, first come first served. A caller that waits too long, or finds too many before it, gets `unavailable`. */
export class TurnQueue {
  readonly #limits: TurnLimits;
  readonly #waiters = new Set<Waiter>();
  /** Those with the wish to be next. */
  readonly #hurried = new Set<Waiter>();
  #wasHurried = false;
  #taken = 0;
  #onDrained: (() => void)[] = [];

  constructor(limits: TurnLimits) {
    this.#limits = limits;
  }

  async take<T>(work: () => Promise<T>, wish: TurnWish = {}): Promise<T> {
    if (wish.signal !== undefined) assertWanted(wish.signal);
    await this.#turn(wish);
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

  #turn({ signal, isNext = false }: TurnWish): Promise<void> {
    const { turns, waitingMax, waitMsMax, refusal } = this.#limits;
    if (this.#taken < turns) {
      this.#taken += 1;
      return Promise.resolve();
    }
    const queue = isNext ? this.#hurried : this.#waiters;
    if (queue.size >= waitingMax) return Promise.reject(new AppError("unavailable", refusal));
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        queue.delete(waiter);
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        outcome();
      };
      const waiter: Waiter = { start: () => settle(resolve) };
      const onAbort = (): void => settle(() => reject(unwanted(signal?.reason)));
      const timer = setTimeout(() => settle(() => reject(new AppError("unavailable", refusal))), waitMsMax);
      signal?.addEventListener("abort", onAbort);
      queue.add(waiter);
    });
  }

  #pass(): void {
    const isHurried = this.#hurried.size > 0 && !(this.#wasHurried && this.#waiters.size > 0);
    const [next] = isHurried ? this.#hurried : this.#waiters;
    this.#wasHurried = isHurried;
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
