import type { Agent } from "../domain/agent.ts";
import type { Requester } from "../domain/approval.ts";
import type { Action } from "../domain/policy.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Target } from "./decide.ts";

interface Named {
  readonly id: string;
  readonly name: string;
}

/** A version of a skill that an agent wants to run. */
export interface HeldSkill extends Named {
  readonly type: "skill";
  readonly version: number;
}

/** A call that a policy holds, with everything that an approval of it is bound to (contract section 5). */
export interface HeldCall {
  readonly agent: Named;
  /** The acting member. */
  readonly member: Named | null;
  /** Null for a skill. */
  readonly server: Named | null;
  readonly action: Action;
  readonly target: Target | HeldSkill;
  /** Null where the agent itself asks. */
  readonly requester: Requester | null;
  /** Of the accepted definition, or of the skill's version; undefined for what is not pinned. */
  readonly toolDigest: string | undefined;
  /** See `hashArguments`. */
  readonly argumentsHash: string;
  /** What the audit log keeps of the arguments, for the person who decides. */
  readonly payload: Readonly<Record<string, unknown>>;
  readonly policies: readonly Named[];
  /** Of the event of the hold, if this call is the first of its kind. */
  readonly correlationId: string;
}

export type ApprovalClaim =
  | {
      /** `approved` only once for each approval: the call MUST then be sent or the approval is lost. */
      readonly state: "approved" | "pending" | "denied";
      readonly approvalId: string;
      /** Shared by the events of the hold, of its decision and of the call. */
      readonly correlationId: string;
    }
  /** This agent has as many calls waiting as it may; nothing was filed. */
  | { readonly state: "full" };

/** Who asks for a call, as of the snapshot: the agent, and its owner as the acting member. */
export function partiesOf(
  { memberById }: Pick<Snapshot, "memberById">,
  { id, name, owner }: Agent,
): Pick<HeldCall, "agent" | "member"> {
  const member = owner === null ? null : { id: owner, name: memberById.get(owner)?.name ?? owner };
  return { agent: { id, name }, member };
}

/** Who decides on held calls. Injected by the composition root; without one, held calls wait for nobody. */
export interface ApprovalStore {
  /** Uses up the approval of exactly this call, or files a request for one and names it. Durable when it resolves. */
  claim(call: HeldCall): Promise<ApprovalClaim>;
  /** Resolves when a person has decided, at once where that is done; never after `signal`. */
  decided(approvalId: string, signal: AbortSignal): Promise<void>;
}
