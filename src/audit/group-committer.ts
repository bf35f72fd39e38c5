import { performance } from "node:perf_hooks";
import { AppError } from "../lib/errors.ts";
import type { DecisionJournal, FinishedEvent, JournalEntry } from "./decision-journal.ts";
import { LoopLoad } from "./loop-load.ts";
import type { Sequencer } from "./sequencer.ts";

/** Outcomes ride along with the next decision; this is how long they wait for one. */
const LINGER_MS = 20;
const RETRY_MS = 1_000;
/** Longer than a burst takes to come in, shorter than what it saves: a write in another thread takes about 1 ms. */
const GATHER_MS = 1;
/** When there is more to do than time for it, what each write costs counts more than when it is made. */
const GATHER_MS_BUSY = 4;
/** Turns that bring nothing, after which a busy loop waits for no more: some only pass on answers, which bring the next calls. */
const QUIET_TURNS_BUSY = 4;

export interface CommitReport {
  readonly durationMs: number;
  readonly entries: number;
}

export interface GroupCommitterOptions {
  readonly journal: DecisionJournal;
  readonly sequencer: Sequencer;
  readonly onCommit?: ((commit: CommitReport) => void) | undefined;
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

/** Who waits for an entry; exactly one of both is called, once. */
export interface Waiter {
  readonly durable: () => void;
  /** It is not durable and never will be. */
  readonly failed: (error: AppError) => void;
}

interface Waiting {
  readonly entry: JournalEntry;
  /** Absent for what nobody waits for: it is kept and tried again when a write fails. */
  readonly waiter?: Waiter;
}

/**
 * Writes entries to the journal in groups: while one write is on its way the next group gathers, so that a group grows with the
 * load and the disk is asked once for all. Hands the finished events on in the journal's order, and only when they are durable.
 */
export class GroupCommitter {
  readonly #options: GroupCommitterOptions;
  readonly #load = new LoopLoad();
  #waiting: Waiting[] = [];
  #size = 0;
  #inFlight = 0;
  #added = 0;
  #done = 0;
  #running: Promise<boolean> | undefined;
  #isScheduled = false;
  /** What waits is written as soon as the running group is. */
  #isUrgent = false;
  #timer: { readonly dueAt: number; readonly handle: NodeJS.Timeout } | undefined;
  #failure: unknown;

  constructor(options: GroupCommitterOptions) {
    this.#options = options;
  }

  get depth(): number {
    return this.#waiting.length + this.#inFlight;
  }

  /** Characters that wait. */
  get size(): number {
    return this.#size;
  }

  /** False from a failed write until a write works; one is tried every second. */
  get isHealthy(): boolean {
    return this.#failure === undefined;
  }

  /** Throws `unavailable` while nothing can be written. */
  refuseIfUnhealthy(): void {
    if (!this.isHealthy) throw this.#refusal();
  }

  /** Tells the waiter what came of it; `unavailable` where the entry cannot be written. It may wait `lingerMs` for company. */
  addDurably(entry: JournalEntry, waiter: Waiter, lingerMs = 0): void {
    if (!this.isHealthy) return waiter.failed(this.#refusal());
    this.#push({ entry, waiter });
    if (lingerMs === 0) this.hurry();
    else this.#writeWithin(lingerMs);
  }

  /** Writes what lingers now. */
  hurry(): void {
    if (this.#waiting.length === 0 || !this.isHealthy) return;
    this.#isUrgent = true;
    this.#writeSoon();
  }

  /** Never waits, never fails: written with the next group, and again until it works. */
  add(entry: JournalEntry): void {
    this.#push({ entry });
    this.#writeWithin(LINGER_MS);
  }

  /** Resolves when all that was added before is durable; rejects with `unavailable` when a write fails. */
  async flush(): Promise<void> {
    await this.#flushUpTo(this.#added);
    // Outcomes of before that only waited for their decisions to be written.
    await this.#flushUpTo(this.#added);
  }

  async #flushUpTo(target: number): Promise<void> {
    while (this.#done < target) if (!(await this.#write())) throw this.#refusal();
  }

  async close(): Promise<void> {
    try {
      await this.flush();
    } finally {
      await this.#running;
      this.#stopTimer();
    }
  }

  #stopTimer(): void {
    clearTimeout(this.#timer?.handle);
    this.#timer = undefined;
  }

  #push(waiting: Waiting): void {
    this.#waiting.push(waiting);
    this.#size += waiting.entry.size;
    this.#added += 1;
  }

  /** So that messages that arrived together share a write: where there is time to spare, one that is alone leaves after this turn of the loop. */
  #writeSoon(): void {
    if (this.#isScheduled || this.#running !== undefined) return;
    this.#isScheduled = true;
    const now = performance.now();
    if (this.#load.isHigh) this.#gather({ until: now + GATHER_MS_BUSY, quietTurns: QUIET_TURNS_BUSY });
    // What is written at once need not wait for others.
    else this.#gather({ until: now + (this.#options.journal.isImmediate ? 0 : GATHER_MS), quietTurns: 1 });
  }

  /** This turn of the loop, and on until then, unless so many turns in a row bring nothing. */
  #gather(bounds: { readonly until: number; readonly quietTurns: number }, quiet = 0): void {
    const gathered = this.#waiting.length;
    setImmediate(() => {
      const quietNow = this.#waiting.length > gathered ? 0 : quiet + 1;
      if (quietNow < bounds.quietTurns && performance.now() < bounds.until) return this.#gather(bounds, quietNow);
      this.#isScheduled = false;
      void this.#write();
    });
  }

  #writeWithin(lingerMs: number): void {
    const delayMs = this.isHealthy ? lingerMs : RETRY_MS;
    const dueAt = performance.now() + delayMs;
    if (this.#timer !== undefined && this.#timer.dueAt <= dueAt) return;
    this.#stopTimer();
    const handle = setTimeout(() => {
      this.#timer = undefined;
      if (this.#running === undefined) void this.#write();
      else this.#isUrgent = true;
    }, delayMs).unref();
    this.#timer = { dueAt, handle };
  }

  /** Gives whether the group was written. Never rejects. One group at a time: a caller meanwhile hears of the running one. */
  #write(): Promise<boolean> {
    if (this.#running !== undefined) return this.#running;
    if (this.#waiting.length === 0 && this.isHealthy) return Promise.resolve(true);
    const group = this.#waiting;
    this.#waiting = [];
    this.#inFlight = group.length;
    this.#isUrgent = false;
    this.#running = this.#writeGroup(group).finally(() => {
      this.#running = undefined;
      this.#goOn();
    });
    return this.#running;
  }

  #goOn(): void {
    if (!this.isHealthy) this.#writeWithin(RETRY_MS);
    else if (this.#isUrgent) this.hurry();
    else if (this.#waiting.length > 0) this.#writeWithin(LINGER_MS);
  }

  async #writeGroup(group: readonly Waiting[]): Promise<boolean> {
    const { journal, sequencer, onCommit } = this.#options;
    const startedAt = performance.now();
    let finished: readonly FinishedEvent[];
    try {
      finished = await journal.commit(group.map(({ entry }) => entry));
    } catch (error) {
      this.#fail(group, error);
      return false;
    }
    this.#failure = undefined;
    this.#leave(group);
    sequencer.hand(finished);
    onCommit?.({ durationMs: performance.now() - startedAt, entries: group.length });
    for (const { waiter } of group) waiter?.durable();
    return true;
  }

  #fail(group: readonly Waiting[], error: unknown): void {
    this.#failure = error;
    this.#options.onProblem?.(error);
    // The next try is a second away, and whoever came meanwhile cannot wait for it either.
    const all = [...group, ...this.#waiting];
    const refused = all.filter(({ waiter }) => waiter !== undefined);
    this.#waiting = all.filter(({ waiter }) => waiter === undefined);
    this.#stopTimer();
    this.#leave(refused);
    for (const { waiter } of refused) waiter?.failed(this.#refusal());
  }

  #leave(group: readonly Waiting[]): void {
    this.#inFlight = 0;
    this.#done += group.length;
    for (const { entry } of group) this.#size -= entry.size;
  }

  #refusal(): AppError {
    const message =
      "the audit log cannot be written; free disk space or repair the disk of the data directory or database";
    return new AppError("unavailable", message, { cause: this.#failure });
  }
}
