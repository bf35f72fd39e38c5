import type { AuditEventDraft, DecisionDraft, UnplacedEvent } from "../domain/audit-event.ts";
import type { Repositories } from "../store/ports.ts";

/**
 * What the gateway's side of the log makes durable, in this order. `text` is the JSON that a journal keeps, `size` what the event
 * weighs in memory, about, in characters.
 */
export type JournalEntry = { readonly text: string; readonly size: number } & (
  | { readonly kind: "decided"; readonly decision: DecisionDraft }
  /** `draft` is the decision's text. */
  | { readonly kind: "settled"; readonly id: string; readonly draft: string }
  | { readonly kind: "recorded"; readonly event: AuditEventDraft }
);

/** An event that waits for its `seq`. Ordinals rise in the order of settlement, without gap, for the life of the journal. */
export interface FinishedEvent extends UnplacedEvent {
  readonly ordinal: number;
  /** What it weighs in memory, about, in characters. */
  readonly size: number;
}

export interface Recovered {
  readonly finished: readonly FinishedEvent[];
  /** Decisions whose outcome nobody knows any more. */
  readonly open: readonly DecisionDraft[];
}

/** What an entry that ends a decision, or has none, adds to the log. */
export function toFinished(entry: Exclude<JournalEntry, { kind: "decided" }>, ordinal: number): FinishedEvent {
  const { size, text } = entry;
  if (entry.kind === "recorded") return { ordinal, id: entry.event.id, draft: text, size };
  return { ordinal, id: entry.id, draft: entry.draft, settlement: text, size };
}

/**
 * Where decisions are durable until their events are in the log. Two implementations: an append-only file beside SQLite, a
 * table on PostgreSQL.
 */
export interface DecisionJournal {
  /** Whether a commit of usual size is done when `commit` returns: more entries are worth waiting for only where there is no time to spare. */
  readonly isImmediate: boolean;
  /** What the last process left behind. MUST be called once, before the first `commit`. */
  recover(): Promise<Recovered>;
  /**
   * All entries, durable, or none: rejects when they cannot be written, and may be tried again. One call at a time. Resolves
   * with the events that the caller must hand to the sequencer.
   */
  commit(entries: readonly JournalEntry[]): Promise<readonly FinishedEvent[]>;
  /** In the transaction that appends `events`: marks them as being in the log and returns those that were not there yet. */
  claim(repositories: Repositories, events: readonly FinishedEvent[]): Promise<readonly FinishedEvent[]>;
  /** After that transaction: frees what was kept for these events. */
  release(events: readonly FinishedEvent[]): void;
  close(): Promise<void>;
}
