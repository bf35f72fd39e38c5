import type { AuditPayloads } from "../domain/organization.ts";
import type { OtherMatch } from "../domain/policy-matches.ts";
import { mayConcernServer, mayConcernSubject } from "../policy/applies-to.ts";
import { couldAllow, type Decision, type DecisionSettings } from "../policy/decide.ts";
import { decideMessage } from "../policy/decide-message.ts";
import type { Subject } from "../policy/request.ts";
import { toMessage, toPolicyRequest } from "../snapshot/to-message.ts";
import type { Caller, DecidingPolicy, Question } from "./decide.ts";

/** More than this of an event would be a list, not a record; what is cut is counted nowhere. */
const MATCHES_NAMED_MAX = 100;

/** What policies say to a message: rows 3 to 6 of the decision table (contract section 5). */
export interface PolicyDecision {
  readonly decision: "allow" | "deny" | "held";
  readonly reason: Decision["reason"];
  readonly policies: readonly DecidingPolicy[];
  /** How much of the arguments the matching policies want recorded; undefined leaves it to the organization. */
  readonly audit: AuditPayloads | undefined;
  /** Policies that matched without deciding: monitored ones, and those of a lower row. */
  readonly alsoMatched: readonly OtherMatch[];
}

const NO_POLICIES: Omit<PolicyDecision, "decision" | "reason"> = { policies: [], audit: undefined, alsoMatched: [] };

export function decidePolicies(caller: Caller, question: Question, nowMs: number): PolicyDecision {
  const { policies: index, organization } = caller.snapshot;
  const { assignmentGrantsAccess } = organization.settings;
  if (index.policies.size === 0 && assignmentGrantsAccess)
    return { decision: "allow", reason: "assignment", ...NO_POLICIES };
  const { ip, client } = caller;
  const message = toMessage(caller, question, { nowMs, args: question.args, ip, client });
  const { subject } = message.request;
  const found = decideMessage(index, message, settingsFor(caller, { question, subject, nowMs }));
  return {
    decision: found.decision,
    reason: found.reason,
    policies: found.policies,
    audit: found.audit,
    alsoMatched: othersOf(found),
  };
}

/** Whether some arguments at some time could pass, or be held. */
export function couldPass(caller: Caller, question: Pick<Question, "action" | "target">, nowMs: number): boolean {
  const { policies: index, organization } = caller.snapshot;
  if (index.policies.size === 0) return organization.settings.assignmentGrantsAccess;
  const { ip, client } = caller;
  return couldAllow(index, toPolicyRequest(caller, question, { nowMs, ip, client }), organization.settings);
}

/**
 * Whoever may call something on a server may also open a session there and list what it may call: without this, an `allow`
 * for calls would be of no use where assignments alone grant nothing.
 */
function settingsFor(
  { snapshot, server }: Caller,
  { question, subject, nowMs }: { readonly question: Question; readonly subject: Subject; readonly nowMs: number },
): DecisionSettings {
  const { settings } = snapshot.organization;
  if (settings.assignmentGrantsAccess || question.action !== "connect") return settings;
  const isLive = (expiresAtMs: number | undefined): boolean => expiresAtMs === undefined || expiresAtMs > nowMs;
  for (const policy of snapshot.policies.policies.values()) {
    if (policy.effect !== "allow" || policy.mode !== "enforce" || !isLive(policy.expiresAtMs)) continue;
    if (mayConcernSubject(policy, subject) && mayConcernServer(policy, server.server))
      return { assignmentGrantsAccess: true };
  }
  return settings;
}

/** The policies that matched without deciding, for the counts. */
export function othersOf({ matched, policies }: Decision): readonly OtherMatch[] {
  if (matched.length === policies.length && matched.every((policy) => policy.mode === "enforce")) return [];
  const deciding = new Set(policies.map(({ id }) => id));
  return matched
    .filter(({ id }) => !deciding.has(id))
    .slice(0, MATCHES_NAMED_MAX)
    .map(({ id, name, effect, mode }) => ({ id, name, effect, mode }));
}
