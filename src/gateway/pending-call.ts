import type { DecisionDraft, Outcome, Settlement } from "../domain/audit-event.ts";
import type { GatewayContext } from "./context.ts";
import type { ApprovedCall } from "./continuations.ts";
import { memberOf, type RequestEnvelope } from "./envelope/envelope.ts";
import type { MethodRule } from "./methods.ts";

export interface CallFacts {
  readonly envelope: RequestEnvelope;
  readonly rule: MethodRule;
  /** The tool that is called, if one is. */
  readonly tool: string | undefined;
  readonly serverName: string;
  /** The approval that it was sent with, where it needed one. */
  readonly approved?: ApprovedCall | undefined;
  /** `performance.now()` when the request came. */
  readonly receivedAt: number;
}

export interface CallEnd {
  readonly outcome: Outcome;
  readonly reason?: string | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

const DURABLE = Promise.resolve();
const NO_BYTES = Buffer.alloc(0);

/**
 * A request of a client between its decision and its outcome. It becomes exactly one audit event, however it ends: whatever
 * needs the recorded decision, or ends the call, stages it unless it is staged.
 */
export class PendingCall {
  isDurable: boolean;
  /** The client took it back (`notifications/cancelled`): an answer may still come, and that none comes is right. */
  isCancelled = false;
  #facts: CallFacts;
  readonly #context: Pick<GatewayContext, "audit" | "metrics">;
  readonly #isRecorded: boolean;
  #toDraft: (() => DecisionDraft) | undefined;
  #draft: DecisionDraft | undefined;
  #durable: Promise<void> | undefined;
  #isSettled = false;
  #sentAt: number | undefined;
  #answeredAt: number | undefined;

  /** `toDraft` builds the decision that is staged; undefined for what is not recorded when it is allowed. */
  constructor(
    context: Pick<GatewayContext, "audit" | "metrics">,
    facts: CallFacts,
    toDraft: (() => DecisionDraft) | undefined,
  ) {
    this.#context = context;
    this.#facts = facts;
    this.#toDraft = toDraft;
    this.#isRecorded = toDraft !== undefined;
    this.isDurable = !this.#isRecorded;
  }

  get facts(): CallFacts {
    return this.#facts;
  }

  /** Keeps of the message only what an answer is read by: the call may wait for minutes now, and its message be large. */
  letGoOfMessage(): void {
    const { envelope } = this.#facts;
    const { params } = envelope;
    const cursor = memberOf(params, "cursor");
    const kept = params === undefined ? undefined : { ...params, members: cursor === undefined ? [] : [cursor] };
    this.#facts = { ...this.#facts, envelope: { ...envelope, bytes: NO_BYTES, params: kept } };
  }

  /** The decision as it is staged. */
  get draft(): DecisionDraft | undefined {
    this.stage();
    return this.#draft;
  }

  /** Resolves when the decision is on disk; rejects where it cannot be recorded. */
  get durable(): Promise<void> {
    return this.#durable ?? this.#begin(0);
  }

  /** Hands the decision to the log, once. It may linger there as long as nobody waits for it. */
  stage(lingerMs = 0): void {
    if (this.#durable === undefined && this.#isRecorded) void this.#begin(lingerMs);
  }

  #begin(lingerMs: number): Promise<void> {
    this.#durable = this.#toLog(lingerMs);
    this.#durable.then(
      () => {
        this.isDurable = true;
      },
      () => {
        // Whoever needs it awaits it; a failure that comes before is not an unhandled one.
      },
    );
    return this.#durable;
  }

  #toLog(lingerMs: number): Promise<void> {
    try {
      this.#draft = this.#toDraft?.();
      // A call may stay for minutes; what its draft was built from must not.
      this.#toDraft = undefined;
    } catch (error) {
      // Where nobody could be told, as after the message has left, whoever waits for the record is.
      return Promise.reject(error);
    }
    return this.#draft === undefined ? DURABLE : this.#context.audit.stage(this.#draft, lingerMs);
  }

  get isSettled(): boolean {
    return this.#isSettled;
  }

  markSent(): void {
    this.#sentAt = performance.now();
  }

  markAnswered(): void {
    this.#answeredAt ??= performance.now();
  }

  /** The outcome, once: later ones are ignored. MUST be called in the turn of the loop in which the answer leaves, or before. */
  settle({ outcome, reason, details }: CallEnd): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    const { receivedAt, serverName } = this.facts;
    const { draft } = this;
    if (draft === undefined) return;
    const now = performance.now();
    const settlement = { outcome, durationMs: now - receivedAt, reason, details };
    if (this.isDurable) this.#context.audit.settle(draft.id, settlement);
    else this.#settleOnceStaged(draft.id, settlement);
    this.#context.metrics?.called(serverName, outcome);
    const upstreamMs = this.#sentAt === undefined ? 0 : (this.#answeredAt ?? now) - this.#sentAt;
    this.#context.metrics?.added(Math.max(0, now - receivedAt - upstreamMs) / 1000);
  }

  /** The client can go while its decision is on the way to the disk; the log knows the decision only when it is there. */
  #settleOnceStaged(id: string, settlement: Settlement): void {
    this.durable.then(
      () => this.#context.audit.settle(id, settlement),
      () => {
        // Never recorded: there is nothing to settle, and the client has been told.
      },
    );
    this.#context.audit.hurry();
  }
}
