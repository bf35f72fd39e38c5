import type { UnplacedEvent } from "../domain/audit-event.ts";
import { AppError } from "../lib/errors.ts";
import type { Repositories, Store } from "../store/ports.ts";
import type { DecisionJournal, FinishedEvent } from "./decision-journal.ts";

/** Most events that one transaction moves: a batch grows with the load up to this, and the fixed cost of a commit shrinks. */
const BATCH_MAX = 2_048;

/** So many do not wait for company. Half a batch: the group that makes them so many fits in whole, and needs no transaction of its own. */
const FULL_AT = BATCH_MAX / 2;

/** Sent to the database in one message. More would make texts of 128 KB, for each of which V8 asks the system for pages of its own. */
const SLICE = 96;

/**
 * How long a finished event may wait for company; a read flushes and never waits for this. Each commit costs an fsync that the
 * journal's writes have to wait for, so a few per second are enough.
 */
const LINGER_MS = 250;

const RETRY_MS = 1_000;

export interface SequencerOptions {
  readonly store: Store;
  /** Marks and frees what was moved; absent where no gateway runs. */
  readonly journal?: DecisionJournal | undefined;
  /** Told of a failed move, which is tried again after a second. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

/**
 * Moves events into the log under a gapless `seq`: those that operations staged in their transactions, and those that
 * the gateway finished. The only writer of the log in its database.
 */
export interface Sequencer {
  /** Takes events in the order of settlement. Never waits. */
  hand(events: readonly FinishedEvent[]): void;
  /** Says that an operation staged an event, so that it moves soon. Forgetting it costs time only: `flush` looks anyway. */
  nudge(): void;
  /** Resolves when all that was staged or handed over before the call is visible; rejects with `unavailable` otherwise. */
  flush(): Promise<void>;
  /** Stops the timers after a last flush. */
  close(): Promise<void>;
  /** Handed over and not yet in the log. */
  readonly depth: number;
  /** What `depth` weighs in memory, in characters of JSON. */
  readonly size: number;
  /** False from a failed move until one works. */
  readonly isHealthy: boolean;
  /** How long moves have failed, in milliseconds; 0 while they work. */
  readonly failingMs: number;
}

export function createSequencer(options: SequencerOptions): Sequencer {
  return new BatchSequencer(options);
}

class BatchSequencer implements Sequencer {
  readonly #options: SequencerOptions;
  #queue: FinishedEvent[] = [];
  #size = 0;
  #handed = 0;
  #moved = 0;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  /** `performance.now()` at the beginning of the first move that failed since one worked. */
  #failingSince: number | undefined;

  constructor(options: SequencerOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#queue.length;
  }

  get size(): number {
    return this.#size;
  }

  get isHealthy(): boolean {
    return this.#failingSince === undefined;
  }

  get failingMs(): number {
    return this.#failingSince === undefined ? 0 : performance.now() - this.#failingSince;
  }

  hand(events: readonly FinishedEvent[]): void {
    for (const event of events) {
      this.#queue.push(event);
      this.#size += event.size;
    }
    this.#handed += events.length;
    if (this.#queue.length >= FULL_AT && this.isHealthy) this.#start();
    else if (events.length > 0) this.#moveWithin(LINGER_MS);
  }

  nudge(): void {
    this.#moveWithin(LINGER_MS);
  }

  async flush(): Promise<void> {
    try {
      await this.#drain();
    } catch (error) {
      throw new AppError("unavailable", "the audit log cannot be written; try again when the database answers", {
        cause: error,
      });
    }
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      clearTimeout(this.#timer);
    }
  }

  #moveWithin(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#start();
    }, delayMs).unref();
  }

  /** In the background: a failure was reported and is tried again, so nobody has to hear of it here. */
  #start(): void {
    this.#drain().catch(() => undefined);
  }

  /** One drain runs at a time; whoever asks meanwhile shares the one after it, because the running one may have read already. */
  #drain(): Promise<void> {
    if (this.#next !== undefined) return this.#next;
    if (this.#running === undefined) return this.#run();
    // Also while `next` is about to begin and none runs: two at a time would move the same events, and forget others.
    this.#next = this.#running
      .catch(() => undefined)
      .then(() => {
        this.#next = undefined;
        return this.#run();
      });
    return this.#next;
  }

  #run(): Promise<void> {
    // What it was set for moves now; left alone it would soon move the few that come meanwhile.
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#running = this.#moveAll().finally(() => {
      this.#running = undefined;
    });
    return this.#running;
  }

  /** Until what was there at the start is moved. What arrives meanwhile is moved too but not waited for. */
  async #moveAll(): Promise<void> {
    const target = this.#handed;
    const startedAt = performance.now();
    try {
      let mayBeMore = this.#queue.length > 0 || (await this.#hasStaged());
      while (mayBeMore || this.#moved < target) mayBeMore = await this.#moveBatch();
      this.#failingSince = undefined;
    } catch (error) {
      this.#failingSince ??= startedAt;
      this.#moveWithin(RETRY_MS);
      this.#options.onProblem?.(error);
      throw error;
    }
    if (this.#queue.length > 0) this.#moveWithin(LINGER_MS);
  }

  async #hasStaged(): Promise<boolean> {
    const staged = await this.#options.store.read(({ audit }) => audit.takeStaged(1));
    return staged.length > 0;
  }

  /** One transaction. Gives whether more staged events may wait. */
  async #moveBatch(): Promise<boolean> {
    const { store, journal } = this.#options;
    const batch = this.#queue.slice(0, BATCH_MAX);
    const areMoreFinished = this.#queue.length > batch.length;
    const areMoreStaged = await store.transaction(async (repositories) => {
      const staged = await repositories.audit.takeStaged(BATCH_MAX);
      const finished = batch.length === 0 ? [] : await this.#claim(repositories, batch);
      const { placed, later } = merged(staged, finished);
      // Where more finished, that may have happened before these: they wait for a batch in which something happened after them.
      await append(repositories, areMoreFinished ? placed : [...placed, ...later]);
      return staged.length === BATCH_MAX || (areMoreFinished && later.length > 0);
    });
    this.#queue = this.#queue.slice(batch.length);
    this.#moved += batch.length;
    for (const { size } of batch) this.#size -= size;
    journal?.release(batch);
    return areMoreStaged;
  }

  async #claim(repositories: Repositories, batch: readonly FinishedEvent[]): Promise<readonly FinishedEvent[]> {
    return (await this.#options.journal?.claim(repositories, batch)) ?? batch;
  }
}

/**
 * Both in the order that they have, and by the time of their ids against each other: what an agent did before its key was revoked stands
 * before the revocation. `later`: staged after all that is finished.
 */
function merged(staged: readonly UnplacedEvent[], finished: readonly UnplacedEvent[]) {
  if (staged.length === 0) return { placed: finished, later: staged };
  let taken = 0;
  const placed = finished.flatMap((event) => {
    const from = taken;
    while ((staged[taken]?.id ?? event.id) < event.id) taken += 1;
    return [...staged.slice(from, taken), event];
  });
  return { placed, later: staged.slice(taken) };
}

async function append({ audit }: Repositories, events: readonly UnplacedEvent[]): Promise<void> {
  if (events.length === 0) return;
  const firstSeq = (await audit.lastSeq()) + 1;
  for (let first = 0; first < events.length; first += SLICE)
    await audit.append(events.slice(first, first + SLICE), firstSeq + first);
}
