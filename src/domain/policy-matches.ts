import type { AuditEvent } from "./audit-event.ts";
import { POLICY_EFFECTS, POLICY_MODES, type PolicyEffect, type PolicyMode } from "./policy.ts";

/** A policy that matched a message without deciding it, as `details.alsoMatched` of an event names it. */
export interface OtherMatch {
  readonly id: string;
  readonly name: string;
  readonly effect: PolicyEffect;
  readonly mode: PolicyMode;
}

/** What an event says about one policy. */
export interface RecordedMatch {
  readonly id: string;
  readonly isMatch: boolean;
  /** It denied the message, or would have in enforce mode; or somebody went around it. */
  readonly isViolation: boolean;
}

/** The policies that these name were changed, not applied. */
const CHANGES = ["policy.update", "agent.delete", "server.delete", "skill.delete"];
/** The call that this announces has an event of its own. */
const ANNOUNCEMENT = "tool.started";
const UNCOUNTED: ReadonlySet<string> = new Set([...CHANGES, ANNOUNCEMENT]);

/**
 * Every policy that an event about a message names, once: those that decided a message, those that also matched, and those that a finding of a scan
 * shows to be evaded.
 */
export function matchesOf({ action, policies = [], reason, outcome, details }: AuditEvent): RecordedMatch[] {
  if (UNCOUNTED.has(action)) return [];
  if (action === "finding.open") return policies.map(({ id }) => ({ id, isMatch: true, isViolation: true }));
  const isDenied = outcome === "denied";
  const deciding = policies.map(({ id }) => ({
    id,
    isMatch: reason !== "evaluation_error",
    isViolation: isDenied && (reason === "policy" || reason === "evaluation_error"),
  }));
  const others = details["alsoMatched"];
  if (!Array.isArray(others)) return deciding;
  return [
    ...deciding,
    ...others.filter(isOtherMatch).map(({ id, effect }) => ({ id, isMatch: true, isViolation: effect === "deny" })),
  ];
}

function isOtherMatch(value: unknown): value is OtherMatch {
  if (typeof value !== "object" || value === null) return false;
  return (
    "id" in value &&
    typeof value.id === "string" &&
    "effect" in value &&
    POLICY_EFFECTS.some((effect) => effect === value.effect) &&
    "mode" in value &&
    POLICY_MODES.some((mode) => mode === value.mode)
  );
}
