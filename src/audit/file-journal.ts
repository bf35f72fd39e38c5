import type { AuditEventDraft, DecisionDraft, Settlement, UnplacedEvent } from "../domain/audit-event.ts";
import { assert } from "../lib/assert.ts";
import { TransientMap } from "../lib/transient-map.ts";
import type { Repositories, Store } from "../store/ports.ts";
import {
  toFinished,
  type DecisionJournal,
  type FinishedEvent,
  type JournalEntry,
  type Recovered,
} from "./decision-journal.ts";
import { frameBytes, FrameEncoder, readFrames, type Frame } from "./segment-frame.ts";
import { SegmentFiles, type Segment } from "./segment-files.ts";

/** Holds about 10 000 calls; two or three such files exist at a time. */
const SEGMENT_BYTES = 8 * 1024 * 1024;

/** The last ordinal whose event is in the log, written in the transaction that put it there: what makes replay exactly-once. */
const RECORDED_VALUE = "audit.journal.recorded";

export interface FileJournalOptions {
  /** A directory of the journal's own, beside the database that holds the log. */
  readonly directory: string;
  readonly store: Store;
  readonly segmentBytes?: number | undefined;
  /** Told of damage that was read over and of files that could not be freed. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

/**
 * Decisions in an append-only file beside the database: one durable write per group commit, a quarter of the cost of staging
 * rows in SQLite (docs/decisions/decision-journal.md). One process at a time.
 */
export function createFileJournal(options: FileJournalOptions): DecisionJournal {
  return new FileJournal(options);
}

interface ClosedSegment {
  readonly number: number;
  /** May be given up when this event is in the log: decisions that are open then were copied into the next segment. */
  readonly lastOrdinal: number;
}

class FileJournal implements DecisionJournal {
  readonly #options: FileJournalOptions;
  readonly #files: SegmentFiles;
  readonly #segmentBytes: number;
  readonly #encoder = new FrameEncoder();
  /** Open decisions by id, as JSON: what a new segment begins with. */
  readonly #open = new TransientMap<string, string>();
  #current: Segment | undefined;
  #position = 0;
  /** Where the segment is full: no less than twice what was carried into it, so that many open decisions are not copied at each commit. */
  #limit = 0;
  /** Set by a failed write: what it left on the disk does not count once a new segment says what is open. */
  #mustRotate = false;
  #isNextPrepared = false;
  #lastNumber = 0;
  #lastOrdinal = 0;
  #closed: readonly ClosedSegment[] = [];
  #retiring: Promise<void> = Promise.resolve();

  constructor(options: FileJournalOptions) {
    this.#options = options;
    this.#segmentBytes = options.segmentBytes ?? SEGMENT_BYTES;
    this.#files = new SegmentFiles(options.directory, this.#segmentBytes);
  }

  get isImmediate(): boolean {
    return this.#files.writesInline;
  }

  async recover(): Promise<Recovered> {
    const recorded = await this.#options.store.read(recordedOrdinal);
    const replay = new Replay(recorded);
    for (const number of await this.#files.list()) {
      const bytes = await this.#files.read(number);
      const { frames, damagedFrames } = readFrames(bytes, number);
      for (const frame of frames) replay.apply(frame);
      if (damagedFrames > 0) this.#reportDamage(`${damagedFrames} commits of segment ${number} cannot be read`);
      if (bytes.length < this.#segmentBytes) this.#reportDamage(`segment ${number} is cut off`);
      this.#lastNumber = number;
      this.#closed = [...this.#closed, { number, lastOrdinal: replay.lastOrdinal }];
    }
    if (recorded > 0 && this.#closed.length === 0) this.#reportDamage("all of it is missing");
    if (replay.missing > 0) this.#reportDamage(`${replay.missing} outcomes are missing`);
    await this.#closeRecorded(replay);
    this.#lastOrdinal = replay.lastOrdinal;
    for (const [id, { text }] of replay.open) this.#open.set(id, text);
    await this.#rotate();
    this.#retireUpTo(recorded);
    return { finished: replay.finished, open: [...replay.open.values()].map(({ decision }) => decision) };
  }

  async commit(entries: readonly JournalEntry[]): Promise<readonly FinishedEvent[]> {
    const text = entries.map(toLine).join("\n");
    // A commit that is larger than a segment makes its file longer.
    const isFull = this.#position > 0 && this.#position + frameBytes(text) > this.#limit;
    if (isFull || this.#mustRotate) await this.#rotate();
    assert(this.#current !== undefined, "a journal is recovered before it is written, and not closed");
    await this.#write(this.#current, text);
    if (this.#position > this.#limit / 2) this.#prepareNext();
    return this.#accept(entries);
  }

  async claim(repositories: Repositories, events: readonly FinishedEvent[]): Promise<readonly FinishedEvent[]> {
    const recorded = await recordedOrdinal(repositories);
    const last = events.at(-1)?.ordinal ?? 0;
    if (last > recorded) await repositories.values.set(RECORDED_VALUE, String(last));
    return events.filter(({ ordinal }) => ordinal > recorded);
  }

  release(events: readonly FinishedEvent[]): void {
    const last = events.at(-1);
    if (last !== undefined) this.#retireUpTo(last.ordinal);
  }

  async close(): Promise<void> {
    await this.#retiring;
    await this.#current?.close();
    this.#current = undefined;
  }

  async #write(segment: Segment, text: string): Promise<void> {
    const frame = this.#encoder.encode(segment.number, { ordinal: this.#lastOrdinal + 1, text });
    this.#mustRotate = true;
    await segment.write(frame, this.#position);
    this.#mustRotate = false;
    this.#position += frame.length;
  }

  /** Begins a new segment with a copy of all open decisions, so that no long call keeps an old segment alive. */
  async #rotate(): Promise<void> {
    const number = this.#lastNumber + 1;
    this.#mustRotate = true;
    const segment = await this.#files.create(number);
    const previous = this.#current;
    const position = this.#position;
    this.#position = 0;
    try {
      const carried = [...this.#open.values()].map((text) => LINE_TYPES.decided + text);
      await this.#write(segment, [CARRY_LINE, ...carried].join("\n"));
    } catch (error) {
      this.#position = position;
      await segment.close();
      throw error;
    }
    this.#current = segment;
    this.#limit = Math.max(this.#segmentBytes, 2 * this.#position);
    this.#isNextPrepared = false;
    this.#lastNumber = number;
    if (previous === undefined) return;
    this.#closed = [...this.#closed, { number: previous.number, lastOrdinal: this.#lastOrdinal }];
    await previous.close();
  }

  #accept(entries: readonly JournalEntry[]): readonly FinishedEvent[] {
    const finished: FinishedEvent[] = [];
    for (const entry of entries) {
      if (entry.kind === "decided") this.#open.set(entry.decision.id, entry.text);
      else {
        this.#lastOrdinal += 1;
        finished.push(toFinished(entry, this.#lastOrdinal));
      }
      if (entry.kind === "settled") this.#open.delete(entry.id);
    }
    return finished;
  }

  #prepareNext(): void {
    if (this.#isNextPrepared) return;
    this.#isNextPrepared = true;
    // A failure shows again, and is told, when the segment is needed.
    this.#files.prepare().catch(() => undefined);
  }

  #retireUpTo(ordinal: number): void {
    const done = this.#closed.filter(({ lastOrdinal }) => lastOrdinal <= ordinal);
    if (done.length === 0) return;
    this.#closed = this.#closed.filter(({ lastOrdinal }) => lastOrdinal > ordinal);
    for (const { number } of done) {
      this.#retiring = this.#retiring
        .then(() => this.#files.retire(number))
        .catch((error: unknown) => this.#options.onProblem?.(error));
    }
  }

  /** Outcomes that cannot be read leave decisions open whose events are in the log. */
  async #closeRecorded({ open }: Replay): Promise<void> {
    if (open.size === 0) return;
    const decisions = [...open.values()].map(({ decision }) => decision);
    const recorded = await this.#options.store.read(({ audit }) => audit.recordedOf(decisions));
    for (const id of recorded) open.delete(id);
  }

  #reportDamage(what: string): void {
    const advice = "calls of the last moments before the program ended may lack their events; check the disk";
    this.#options.onProblem?.(new Error(`the decision journal is damaged: ${what}; ${advice}`));
  }
}

async function recordedOrdinal({ values }: Repositories): Promise<number> {
  return Number((await values.find(RECORDED_VALUE)) ?? 0);
}

const LINE_TYPES = { decided: "D", settled: "S", recorded: "E" } as const;

/** Begins a segment: the decisions of this frame are all that are open, whatever earlier segments say. */
const CARRY_LINE = "C";

/** One line per entry: JSON escapes line ends. */
function toLine(entry: JournalEntry): string {
  return LINE_TYPES[entry.kind] + entry.text;
}

/** Reads frames in the order in which they were written. */
class Replay {
  readonly open = new Map<string, { readonly decision: DecisionDraft; readonly text: string }>();
  readonly finished: FinishedEvent[] = [];
  readonly #inLog: number;
  lastOrdinal: number;
  /** Ordinals that no frame holds, and the log does not either. */
  missing = 0;

  constructor(recorded: number) {
    this.#inLog = recorded;
    this.lastOrdinal = recorded;
  }

  apply({ ordinal, text }: Frame): void {
    this.missing += Math.max(0, ordinal - this.lastOrdinal - 1);
    // A commit that failed may be on the disk all the same; the one after it took the ordinals again.
    while ((this.finished.at(-1)?.ordinal ?? 0) >= ordinal) this.finished.pop();
    let next = ordinal;
    for (const line of text.split("\n")) {
      const body = line.slice(1);
      if (line.startsWith("D")) this.#decided(body);
      else if (line.startsWith("S")) this.#settled(body, next++);
      else if (line === CARRY_LINE) this.open.clear();
      else if (line.startsWith("E")) this.#recorded(body, next++);
    }
    this.lastOrdinal = Math.max(this.lastOrdinal, next - 1);
  }

  #decided(body: string): void {
    const decision: DecisionDraft = JSON.parse(body);
    this.open.set(decision.id, { decision, text: body });
  }

  #settled(body: string, ordinal: number): void {
    const { id }: Settlement & { readonly id: string } = JSON.parse(body);
    const open = this.open.get(id);
    // Missing only if its frame is damaged, which is reported.
    if (open === undefined) return;
    this.open.delete(id);
    this.#finish(ordinal, { id, draft: open.text, settlement: body });
  }

  #recorded(body: string, ordinal: number): void {
    const { id }: AuditEventDraft = JSON.parse(body);
    this.#finish(ordinal, { id, draft: body });
  }

  #finish(ordinal: number, event: UnplacedEvent): void {
    const size = event.draft.length + (event.settlement?.length ?? 0);
    if (ordinal > this.#inLog) this.finished.push({ ordinal, ...event, size });
  }
}
