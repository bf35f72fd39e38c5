import { AppError } from "../../lib/errors.ts";

// More writers than this means that the database is far behind: waiting would only hide it.
const WAITING_MAX = 2_000;
const WAIT_MS_MAX = 15_000;

interface Waiter {
  readonly start: () => void;
  readonly timer: NodeJS.Timeout;
}

/** One at a time, first come first served. A caller that waits too long, or finds too many before it, gets `unavailable`. */
export class TurnQueue {
  readonly #waiters = new Set<Waiter>();
  #isTaken = false;
  #onDrained: (() => void)[] = [];

  async take<T>(work: () => Promise<T>): Promise<T> {
    await this.#turn();
    try {
      return await work();
    } finally {
      this.#pass();
    }
  }

  /** Resolves when nobody works or waits. */
  drained(): Promise<void> {
    if (!this.#isTaken) return Promise.resolve();
    return new Promise((resolve) => this.#onDrained.push(resolve));
  }

  #turn(): Promise<void> {
    if (!this.#isTaken) {
      this.#isTaken = true;
      return Promise.resolve();
    }
    if (this.#waiters.size >= WAITING_MAX) return Promise.reject(tooBusy());
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        start: resolve,
        timer: setTimeout(() => {
          this.#waiters.delete(waiter);
          reject(tooBusy());
        }, WAIT_MS_MAX),
      };
      this.#waiters.add(waiter);
    });
  }

  #pass(): void {
    const [next] = this.#waiters;
    if (next !== undefined) {
      this.#waiters.delete(next);
      clearTimeout(next.timer);
      next.start();
      return;
    }
    this.#isTaken = false;
    for (const resolve of this.#onDrained.splice(0)) resolve();
  }
}

function tooBusy(): AppError {
  return new AppError("unavailable", "the database has too many changes to write at the moment; try again");
}
