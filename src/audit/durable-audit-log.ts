import type { AuditEventDraft, DecisionDraft, Settlement } from "../domain/audit-event.ts";
import { decisionText } from "../domain/decision-text.ts";
import { UNKNOWN_AFTER_CRASH } from "../domain/settled-event.ts";
import { systemClock, type Clock } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import type { AuditLog } from "./audit-log.ts";
import type { DecisionJournal, JournalEntry } from "./decision-journal.ts";
import { GroupCommitter, type CommitReport } from "./group-committer.ts";
import { OpenDecisions } from "./open-decisions.ts";
import type { Sequencer } from "./sequencer.ts";

/** Beyond these the database has been away for long: refusing calls is better than running out of memory. */
const DEPTH_MAX = 50_000;
const SIZE_MAX = 64 * 1024 * 1024;

/** A database that cannot be written for longer takes no revocation either: nobody may be served whom nobody could stop. */
const FAILING_MS_MAX = 5_000;

export interface AuditLogOptions {
  /** Of the same database as the sequencer's. */
  readonly journal: DecisionJournal;
  readonly sequencer: Sequencer;
  readonly clock?: Clock | undefined;
  readonly depthMax?: number | undefined;
  readonly failingMsMax?: number | undefined;
  /** Told of each group commit, for metrics. */
  readonly onCommit?: ((commit: CommitReport) => void) | undefined;
  /** Told of failed writes and dropped events. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

/**
 * Opens the log and first brings in what a crash left: settled decisions become their events, open ones become `error`,
 * `unknown_after_crash`. Rejects when journal or database cannot be used.
 */
export async function openAuditLog(options: AuditLogOptions): Promise<AuditLog> {
  const log = new DurableAuditLog(options);
  await log.recover();
  return log;
}

class DurableAuditLog implements AuditLog {
  readonly #options: AuditLogOptions;
  readonly #clock: Clock;
  readonly #committer: GroupCommitter;
  readonly #open: OpenDecisions;
  #isClosed = false;

  constructor(options: AuditLogOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#committer = new GroupCommitter(options);
    this.#open = new OpenDecisions({ clock: this.#clock, announce: (event) => this.post(event) });
  }

  get depth(): number {
    return this.#committer.depth + this.#options.sequencer.depth;
  }

  get openDecisions(): number {
    return this.#open.count;
  }

  get isHealthy(): boolean {
    return this.#committer.isHealthy && this.#options.sequencer.isHealthy;
  }

  async recover(): Promise<void> {
    const { journal, sequencer } = this.#options;
    const { finished, open } = await journal.recover();
    sequencer.hand(finished);
    for (const decision of open) {
      const text = JSON.stringify({ id: decision.id, ...UNKNOWN_AFTER_CRASH });
      const draft = JSON.stringify(decision);
      this.#committer.add({ kind: "settled", id: decision.id, draft, text, size: draft.length + text.length });
    }
    await this.flush();
  }

  stage(decision: DecisionDraft, lingerMs = 0): Promise<void> {
    // One promise: every call waits here.
    return new Promise((resolve, reject) => {
      this.#refuseUnasked();
      const text = decisionText(decision);
      const durable = (): void => {
        this.#open.add(decision, text);
        resolve();
      };
      const entry = { kind: "decided", decision, text, size: text.length } as const;
      this.#committer.addDurably(entry, { durable, failed: reject }, lingerMs);
    });
  }

  hurry(): void {
    this.#committer.hurry();
  }

  refuseIfUnable(): void {
    this.#refuseUnasked();
    this.#committer.refuseIfUnhealthy();
  }

  settle(id: string, settlement: Settlement): void {
    const open = this.#open.take(id);
    if (open === undefined) return;
    const text = this.#toText(id, settlement);
    this.#committer.add({ kind: "settled", id, draft: open.text, text, size: open.text.length + text.length });
  }

  record(event: AuditEventDraft): Promise<void> {
    return new Promise((durable, failed) => {
      this.#refuseUnasked();
      this.#committer.addDurably(toRecorded(event), { durable, failed });
    });
  }

  post(event: AuditEventDraft): void {
    if (this.#isClosed || this.#isFull) {
      this.#options.onProblem?.(new Error(`audit event \`${event.action}\` dropped: the queue is full or closed`));
    } else this.#committer.add(toRecorded(event));
  }

  async flush(): Promise<void> {
    await this.#committer.flush();
    await this.#options.sequencer.flush();
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    for (const { decision, since } of this.#open.list()) {
      const durationMs = this.#clock.now() - since;
      this.settle(decision.id, { outcome: "error", reason: "shutdown", durationMs });
    }
    this.#isClosed = true;
    this.#open.close();
    try {
      await this.#committer.close();
      await this.#options.sequencer.close();
    } finally {
      await this.#options.journal.close();
    }
  }

  get #isFull(): boolean {
    const { depthMax = DEPTH_MAX, sequencer } = this.#options;
    return this.depth >= depthMax || this.#committer.size + sequencer.size >= SIZE_MAX;
  }

  /** Without asking the committer, which answers for itself. */
  #refuseUnasked(): void {
    if (this.#isClosed) throw new AppError("unavailable", "the audit log is closed; the server is shutting down");
    if (this.#isFull) throw new AppError("unavailable", "the audit log is full; try again when the database answers");
    const { failingMsMax = FAILING_MS_MAX, sequencer } = this.#options;
    if (sequencer.failingMs > failingMsMax)
      throw new AppError("unavailable", "the database cannot be written; free disk space or repair it");
  }

  /** An outcome must not be lost because its details hold what JSON cannot: that is our mistake, reported, not the call's. */
  #toText(id: string, settlement: Settlement): string {
    const { outcome, reason, details } = settlement;
    const kept = { id, outcome, durationMs: Math.round(settlement.durationMs), reason };
    try {
      return JSON.stringify(details === undefined ? kept : { ...kept, details });
    } catch (error) {
      this.#options.onProblem?.(error);
      return JSON.stringify(kept);
    }
  }
}

function toRecorded(event: AuditEventDraft): JournalEntry {
  const text = JSON.stringify(event);
  return { kind: "recorded", event, text, size: text.length };
}
