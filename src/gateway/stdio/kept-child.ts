import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";

/** What is needed of a child to keep it. */
interface Child {
  readonly exited: Promise<unknown>;
  stop(): Promise<unknown>;
}

/** The use of a child; `release` MUST be called once when it ends. */
interface ChildLease<C> {
  readonly child: C;
  release(): void;
}

interface KeptChildOptions<C> {
  readonly start: () => Promise<C>;
  /** The server's name, for what callers are told. */
  readonly label: string;
  readonly clock: Clock;
  /** A child that nobody leases for so long is stopped. */
  readonly idleMs: number;
}

const PAUSE_FIRST_MS = 500;
const PAUSE_MAX_MS = 60_000;
// A child that lived so long did not crash because of its start.
const STABLE_MS = 30_000;

/** A place for at most one child of a server: started on first use, stopped when idle, restarted with growing pauses. */
export class KeptChild<C extends Child> {
  readonly #options: KeptChildOptions<C>;
  #running: Promise<C> | undefined;
  #leases = 0;
  #idleTimer: NodeJS.Timeout | undefined;
  #crashes = 0;
  #notBefore = 0;
  #isClosed = false;

  constructor(options: KeptChildOptions<C>) {
    this.#options = options;
  }

  /** Throws `unavailable` with `details.retryAfterMs` during the pause after crashes, and what a start throws. */
  async lease(): Promise<ChildLease<C>> {
    this.#refuse();
    clearTimeout(this.#idleTimer);
    this.#leases += 1;
    let isReleased = false;
    const release = (): void => {
      if (!isReleased) this.#release();
      isReleased = true;
    };
    try {
      return { child: await (this.#running ?? this.#start()), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Stops the child; later leases are refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#stop();
  }

  #refuse(): void {
    const { label } = this.#options;
    if (this.#isClosed) throw new AppError("unavailable", `the stdio server \`${label}\` has been stopped`);
    const retryAfterMs = this.#notBefore - this.#options.clock.now();
    if (this.#running !== undefined || retryAfterMs <= 0) return;
    const message = `the stdio server \`${label}\` ended ${this.#crashes} times; try again in ${retryAfterMs} ms`;
    throw new AppError("unavailable", message, { details: { retryAfterMs } });
  }

  #start(): Promise<C> {
    const startedAt = this.#options.clock.now();
    const started = this.#options.start();
    this.#running = started;
    started.then(
      (child) => void child.exited.then(() => this.#ended(started, startedAt)),
      () => this.#ended(started, startedAt),
    );
    return started;
  }

  /** A stop by us clears `#running` first, so only an end of the child's own counts as a crash. */
  #ended(which: Promise<C>, startedAt: number): void {
    if (this.#running !== which) return;
    this.#running = undefined;
    const now = this.#options.clock.now();
    this.#crashes = now - startedAt >= STABLE_MS ? 1 : this.#crashes + 1;
    // The first restart is at once: it may have been one bad message.
    const pause = this.#crashes === 1 ? 0 : Math.min(PAUSE_MAX_MS, PAUSE_FIRST_MS * 2 ** (this.#crashes - 2));
    this.#notBefore = now + pause;
  }

  #release(): void {
    this.#leases -= 1;
    if (this.#leases > 0 || this.#isClosed) return;
    this.#idleTimer = setTimeout(() => void this.#stop(), this.#options.idleMs);
    // A waiting stop does not keep the gateway alive.
    this.#idleTimer.unref();
  }

  async #stop(): Promise<void> {
    clearTimeout(this.#idleTimer);
    const stopped = this.#running;
    this.#running = undefined;
    // A start that failed left nothing to stop.
    const child = await stopped?.catch(() => undefined);
    await child?.stop();
  }
}
