import type { AuditEventDraft, DecisionDraft, Settlement } from "../domain/audit-event.ts";

/**
 * Where the data plane records. Nothing may be answered, nor sent with `before-dispatch`, whose decision is not durable here first; every
 * decision becomes exactly one event, also across a crash (then with outcome `error`, reason `unknown_after_crash`).
 * Secrets MUST be masked before a draft is handed over, and a draft MUST NOT change afterwards.
 */
export interface AuditLog {
  /**
   * Makes a decision durable: resolves when it would survive the loss of power. Rejects with `unavailable` when the log
   * cannot be written or its queue is full; the message MUST then be refused. After it resolved, `settle` MUST follow.
   * A decision that nobody waits for yet may linger for company, so that more share one write; `hurry` ends that.
   */
  stage(decision: DecisionDraft, lingerMs?: number): Promise<void>;
  /** Somebody waits now for a decision that lingers. */
  hurry(): void;
  /** Throws `unavailable` where it is known that nothing can be staged now. */
  refuseIfUnable(): void;
  /** Ends a staged decision, which makes it an event. Never waits and never throws; an id that is not open is ignored. */
  settle(id: string, settlement: Settlement): void;
  /** Records decision and outcome in one; durable when it resolves, rejects as `stage` does. For denials and lists. */
  record(event: AuditEventDraft): Promise<void>;
  /**
   * Hands over an event that nobody waits for (end of a session, counted failures). Survives a crash of the process soon
   * after; dropped, with a report to `onProblem`, only while the queue is full.
   */
  post(event: AuditEventDraft): void;
  /** Resolves when everything handed over before the call is visible to queries; rejects with `unavailable` if it cannot be. */
  flush(): Promise<void>;
  /** Settles what is still open as `error`, reason `shutdown`, flushes and frees the files. Later calls are refused. */
  close(): Promise<void>;
  /** Events and decisions that wait for the disk or for their `seq`. */
  readonly depth: number;
  /** Decisions without an outcome: the messages in flight. */
  readonly openDecisions: number;
  /** False from a failed write until a write works again; `readyz` MUST say so. */
  readonly isHealthy: boolean;
}
