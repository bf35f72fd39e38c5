import type { Actor } from "./audit-event.ts";

/** `expired` is no stored status: it is what `pending` and `approved` become by time. */
export const STORED_APPROVAL_STATUSES = ["pending", "approved", "denied", "used"] as const;
export const APPROVAL_STATUSES = [...STORED_APPROVAL_STATUSES, "expired"] as const;
export type ApprovalStatus = (typeof APPROVAL_STATUSES)[number];

export interface NamedRef {
  readonly id: string;
  readonly name: string;
}

/** What is held: something of a server by its name, or one version of a skill. */
export interface ApprovalTarget {
  readonly type: string;
  readonly name: string;
  /** Of a skill. */
  readonly id?: string | undefined;
  /** Of a skill. */
  readonly version?: number | undefined;
}

/** Who asked in the agent's name, where the agent did not ask itself: an administrator who tries a skill. */
export type Requester = Pick<Actor, "type" | "id" | "name" | "onBehalfOf">;

/**
 * A held call that waits for a person's word, and that word. Bound by `bindingHash` to agent, acting member, server, action, target,
 * digest and exact arguments; permits one dispatch. Names are as of the time of the call: they are for people.
 */
export interface Approval {
  readonly id: string;
  readonly status: (typeof STORED_APPROVAL_STATUSES)[number];
  /** SHA-256, hex, over everything that the approval is bound to. */
  readonly bindingHash: string;
  readonly agent: NamedRef;
  /** The acting member. */
  readonly member: NamedRef | null;
  /** Null for a skill: it is no server's. */
  readonly server: NamedRef | null;
  readonly action: string;
  readonly target: ApprovalTarget;
  readonly requester: Requester | null;
  /** Of the tool's accepted definition, or of the skill's version. */
  readonly toolDigest: string | null;
  readonly argumentsHash: string;
  /** What the audit log keeps of the arguments too, but that texts are not cut; secrets are masked. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly policies: readonly NamedRef[];
  /** Shared by the events of the hold, of the decision and of the call. */
  readonly correlationId: string;
  readonly requestedAt: number;
  /** Of the question while it is pending, then of the permission. */
  readonly expiresAt: number;
  readonly decision: ApprovalDecision | null;
  readonly usedAt: number | null;
  readonly version: number;
}

export interface ApprovalDecision {
  readonly at: number;
  readonly by: Pick<Actor, "type" | "id" | "name">;
  readonly note: string | null;
}

/** What an approval comes to at a time. */
export function approvalStatus({ status, expiresAt }: Approval, nowMs: number): ApprovalStatus {
  const isOpen = status === "pending" || status === "approved";
  return isOpen && expiresAt <= nowMs ? "expired" : status;
}

/** The approval after a person's word. The permission lasts `ttlMs` from now, however long the question waited. */
export function decideApproval(
  approval: Approval,
  { status, decision, ttlMs }: { status: "approved" | "denied"; decision: ApprovalDecision; ttlMs: number },
): Approval {
  return { ...approval, status, decision, expiresAt: decision.at + ttlMs, version: approval.version + 1 };
}

/** The approval after its one dispatch. */
export function useApproval(approval: Approval, nowMs: number): Approval {
  return { ...approval, status: "used", usedAt: nowMs, version: approval.version + 1 };
}
