export const ACTOR_TYPES = ["key", "member", "agent", "device", "system", "anonymous"] as const;
export type ActorType = (typeof ACTOR_TYPES)[number];

export const OUTCOMES = ["success", "denied", "held", "error"] as const;
export type Outcome = (typeof OUTCOMES)[number];

export interface Actor {
  readonly type: ActorType;
  readonly id: string;
  readonly name: string;
  readonly onBehalfOf?: { readonly id: string; readonly name: string } | undefined;
  readonly ip?: string | undefined;
  /** Self-declared by the client: a hint. */
  readonly client?: string | undefined;
}

export interface ResourceRef {
  readonly type: string;
  readonly id: string;
  readonly name: string;
}

/** An event before the sequencer gave it its place. `details` MUST hold no secret: mask before the event exists. */
export interface AuditEventDraft {
  readonly id: string;
  /** Milliseconds since the Unix epoch. */
  readonly time: number;
  readonly actor: Actor;
  readonly action: string;
  readonly resource: ResourceRef;
  readonly outcome: Outcome;
  readonly reason?: string | undefined;
  readonly policies?: readonly { readonly id: string; readonly name: string }[] | undefined;
  readonly correlationId: string;
  readonly sessionId?: string | undefined;
  readonly durationMs?: number | undefined;
  readonly details: Readonly<Record<string, unknown>>;
}

/** A recorded event. `seq` is gapless from 1; `leafHash` is hex SHA-256 of 0x00 and the canonical event (RFC 6962 §2.1, RFC 8785). */
export interface AuditEvent extends AuditEventDraft {
  readonly seq: number;
  readonly leafHash: string;
}

/** A decision before its outcome is known: who may do what, and which policies said so. `id` becomes the event's id. */
export type DecisionDraft = Omit<AuditEventDraft, "outcome" | "durationMs">;

/** How a staged decision ended. */
export interface Settlement {
  readonly outcome: Outcome;
  /** From the decision to the end of the answer; kept as whole milliseconds. */
  readonly durationMs: number;
  /** Replaces the decision's reason. */
  readonly reason?: string | undefined;
  /** Laid over the decision's details, member by member. MUST hold no secret. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/**
 * An event that waits for its `seq`, as the JSON that a journal keeps of it: thousands wait at a time, and as objects they weigh
 * several times as much and are copied again and again by the garbage collector.
 */
export interface UnplacedEvent {
  readonly id: string;
  /** Of an `AuditEventDraft`, or of a `DecisionDraft` that `settlement` completes. */
  readonly draft: string;
  /** Of a `Settlement`. */
  readonly settlement?: string | undefined;
}
