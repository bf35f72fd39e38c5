import type { DecidingPolicy, Target } from "./decide.ts";

/** A call that a policy holds, with everything that an approval of it is bound to (contract section 5). */
export interface HeldCall {
  readonly agentId: string;
  /** The acting member. */
  readonly memberId: string | null;
  readonly serverId: string;
  readonly target: Target;
  /** Of the accepted definition; undefined for what is not pinned. */
  readonly toolDigest: string | undefined;
  /** SHA-256 of the canonical arguments (RFC 8785), hex. */
  readonly argumentsHash: string;
  readonly policies: readonly DecidingPolicy[];
  /** Shared by the event of the hold, of its decision and of the call. */
  readonly correlationId: string;
  readonly sessionId: string | undefined;
}

export interface HeldCallAnswer {
  /** `approved` only once for each approval: the call MUST then be sent or the approval is lost. */
  readonly state: "approved" | "pending";
  readonly approvalId: string;
}

/** Who decides on held calls. Injected by the composition root; without one, held calls wait for nobody. */
export interface ApprovalStore {
  /** Uses up the approval of exactly this call, or files a request for one and names it. Durable when it resolves. */
  claim(call: HeldCall): Promise<HeldCallAnswer>;
}
