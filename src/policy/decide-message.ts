import { couldAllow, decide, type Decision, type DecisionSettings, UNTOUCHED } from "./decide.ts";
import type { PolicyIndex } from "./policy-index.ts";
import type { PolicyRequest } from "./request.ts";

/** A message to a server, as the evaluator sees it. */
export interface Message {
  readonly request: PolicyRequest;
  /** Whether its sender may connect to the server at all; unset where the message asks just that. */
  readonly connect?: PolicyRequest | undefined;
  /** A later message about a call that was decided with its arguments. */
  readonly isFollowUp?: boolean | undefined;
}

/**
 * Rows 3 to 6 of the decision table for a message to a server, in the gateway and wherever its decisions are told or predicted.
 * Whoever may not connect sends nothing at all: a client without a session never connects, one in a session did so before.
 */
export function decideMessage(index: PolicyIndex, message: Message, settings: DecisionSettings): Decision {
  const { request, connect, isFollowUp = false } = message;
  const refusal = connect === undefined ? undefined : refuseConnect(index, connect);
  if (refusal !== undefined) return refusal;
  // A task was let through with its arguments, which its later messages do not repeat: no condition on them may end it.
  if (isFollowUp && couldAllow(index, request, settings)) return FOLLOWED_UP;
  return decide(index, request, settings);
}

/** The denial where policies forbid to connect. Whether a rule grants it, or holds it, is not asked: only what forbids it counts. */
export function refuseConnect(index: PolicyIndex, connect: PolicyRequest): Decision | undefined {
  const found = decide(index, connect, WITHOUT_GRANT);
  return found.decision === "deny" ? found : undefined;
}

/** Whether some arguments at some time could pass, or be held. */
export function couldAllowMessage(
  index: PolicyIndex,
  { request, connect }: Message,
  settings: DecisionSettings,
): boolean {
  if (connect !== undefined && !couldAllow(index, connect, WITHOUT_GRANT)) return false;
  return couldAllow(index, request, settings);
}

const WITHOUT_GRANT: DecisionSettings = { assignmentGrantsAccess: true };
const FOLLOWED_UP: Decision = { ...UNTOUCHED, reason: "policy" };
