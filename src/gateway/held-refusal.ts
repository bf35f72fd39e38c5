import type { DecisionDraft } from "../domain/audit-event.ts";
import { refusalMessage, type Caller, type Decision, type Target } from "./decide.ts";
import type { Refusal } from "./judge.ts";

/** A message or a run of a skill with what was decided about it. */
export interface Decided extends Pick<Caller, "agent"> {
  readonly target: Target | { readonly type: "skill"; readonly name: string };
  readonly decision: Decision;
  /** Its event before the outcome. */
  readonly draft: DecisionDraft;
}

/** What ties the events of a hold, of its decision and of the call together. */
export interface Tie {
  readonly correlationId: string;
  readonly approvalId: string;
}

/** One correlation id over the events of a hold, and the approval's id in each of them. */
export function tied(draft: DecisionDraft, { correlationId, approvalId }: Tie): DecisionDraft {
  return { ...draft, correlationId, details: { ...draft.details, approvalId } };
}

/** Why it is not done, or not yet, for the model and the person behind it. */
export function toRefusal(decided: Decided, tie: Tie | undefined): Refusal {
  const { decision, draft } = decided;
  const isHeld = decision.effect === "held";
  const message = refusalMessage(decided, decided, decision);
  const hint = `; it waits as approval \`${tie?.approvalId ?? ""}\`: repeat the same call once it is approved`;
  return {
    draft: tie === undefined ? draft : tied(draft, tie),
    outcome: isHeld ? "held" : "denied",
    reason: decision.effect === "allow" ? "unforeseen" : decision.reason,
    message: isHeld && tie !== undefined ? message + hint : message,
    policies: decision.policies,
    approvalId: isHeld ? tie?.approvalId : undefined,
  };
}

/** A person said no. */
export function toDeniedRefusal(decided: Decided, tie: Tie): Refusal {
  const { type, name } = decided.target;
  const what = type === "server" ? "this" : `${type} \`${name.slice(0, 200).replaceAll(/[^\x20-\x7e]/g, "?")}\``;
  const noun = type === "skill" ? "run" : "call";
  const message = `a person denied this ${noun} of ${what} (approval \`${tie.approvalId}\`); do not repeat it, ask an administrator of this gateway`;
  return { ...toRefusal(decided, tie), outcome: "denied", reason: "approval_denied", message };
}

/** The agent has as many calls waiting as it may. */
export function toFullRefusal(decided: Decided): Refusal {
  const message = `agent \`${decided.agent.agent.name}\` has too many calls that wait for approval; wait until some are decided`;
  return { ...toRefusal(decided, undefined), outcome: "denied", reason: "too_many_pending", message };
}
