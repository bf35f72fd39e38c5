import type { CompiledPolicy } from "./compiled-policy.ts";
import { evaluate, evaluatePartially, OPEN_IN_LISTS } from "./evaluate.ts";
import { isSureError, mayBeFalse, mayBeTrue } from "./operators.ts";
import type { PolicyIndex } from "./policy-index.ts";
import { AUDIT_LEVELS, type AuditLevel } from "./policy-terms.ts";
import type { PolicyRequest } from "./request.ts";

export interface Decision {
  readonly decision: "allow" | "deny" | "held";
  /**
   * `policy`: a rule decided; `default`: no rule allows and assignment alone does not; `evaluation_error`: a rule could not
   * be evaluated; `assignment`: no rule speaks and assignment grants access.
   */
  readonly reason: "policy" | "default" | "evaluation_error" | "assignment";
  /** The determining policies, by id. */
  readonly policies: readonly { readonly id: string; readonly name: string }[];
  /** Everything that matched, enforced and monitored, for the counters. */
  readonly matched: readonly CompiledPolicy[];
  /** Monitored policies that could not be evaluated: not applied, but worth a warning. */
  readonly monitorErrors: readonly CompiledPolicy[];
  /** The most protective recording level that a matching enforced policy asks for. */
  readonly audit: AuditLevel | undefined;
}

export interface DecisionSettings {
  readonly assignmentGrantsAccess: boolean;
}

/** Rows 3 to 6 of the decision table (contract section 5). Rows 1 and 2 are the gateway's. Never throws; in doubt, deny. */
export function decide(index: PolicyIndex, request: PolicyRequest, settings: DecisionSettings): Decision {
  const { satisfied, failed } = evaluate(index, request);
  if (satisfied.length === 0 && failed.length === 0) return settings.assignmentGrantsAccess ? UNTOUCHED : UNGRANTED;
  const enforced = satisfied.filter(isEnforced);
  const rest = {
    matched: satisfied,
    monitorErrors: failed.filter((policy) => !isEnforced(policy)),
    audit: mostProtective(enforced),
  };
  const denies = withEffect(enforced, "deny");
  if (denies.length > 0) return { decision: "deny", reason: "policy", policies: denies, ...rest };
  const errors = failed.filter(isEnforced);
  if (errors.length > 0) return { decision: "deny", reason: "evaluation_error", policies: named(errors), ...rest };
  const allows = withEffect(enforced, "allow");
  if (allows.length === 0 && !settings.assignmentGrantsAccess) {
    return { decision: "deny", reason: "default", policies: [], ...rest };
  }
  const holds = withEffect(enforced, "require_approval");
  if (holds.length > 0) return { decision: "held", reason: "policy", policies: holds, ...rest };
  const reason = allows.length > 0 ? "policy" : "assignment";
  return { decision: "allow", reason, policies: allows, ...rest };
}

const SILENCE = { policies: [], matched: [], monitorErrors: [], audit: undefined } as const;
/** Most messages: no rule speaks. */
export const UNTOUCHED: Decision = { decision: "allow", reason: "assignment", ...SILENCE };
const UNGRANTED: Decision = { decision: "deny", reason: "default", ...SILENCE };

/**
 * Whether some arguments at some time could pass, or be held: what a list shows. A convenience; the decision on the call
 * itself is the control.
 */
export function couldAllow(index: PolicyIndex, request: PolicyRequest, settings: DecisionSettings): boolean {
  let isBlocked = false;
  let isGranted = settings.assignmentGrantsAccess;
  evaluatePartially(index, { request, open: OPEN_IN_LISTS }, (policy, result) => {
    if (!isEnforced(policy)) return;
    const cannotPass = policy.effect === "deny" ? !mayBeFalse(result) : isSureError(result);
    isBlocked ||= cannotPass;
    isGranted ||= policy.effect === "allow" && mayBeTrue(result);
  });
  return isGranted && !isBlocked;
}

function isEnforced(policy: CompiledPolicy): boolean {
  return policy.mode === "enforce";
}

function withEffect(policies: readonly CompiledPolicy[], effect: CompiledPolicy["effect"]): Decision["policies"] {
  return named(policies.filter((policy) => policy.effect === effect));
}

/** In the order of their ids, so that the same request always gives the same answer. */
function named(policies: readonly CompiledPolicy[]): Decision["policies"] {
  return policies.map(({ id, name }) => ({ id, name })).toSorted((left, right) => (left.id < right.id ? -1 : 1));
}

function mostProtective(policies: readonly CompiledPolicy[]): AuditLevel | undefined {
  return AUDIT_LEVELS.find((level) => policies.some((policy) => policy.audit === level));
}
