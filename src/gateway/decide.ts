import type { ApiKey } from "../domain/api-key.ts";
import type { AuditPayloads } from "../domain/organization.ts";
import type { OtherMatch } from "../domain/policy-matches.ts";
import type { AgentView, AssignmentView, ServerView, Snapshot } from "../snapshot/snapshot.ts";
import type { Action } from "../domain/policy.ts";
import type { MessageTarget } from "../snapshot/policy-targets.ts";
import type { MethodRule } from "./methods.ts";
import { couldPass, decidePolicies, type PolicyDecision } from "./policy-decision.ts";

/** Who sends messages to which server, as of one snapshot. */
export interface Caller {
  readonly snapshot: Snapshot;
  readonly key: ApiKey;
  readonly agent: AgentView;
  readonly server: ServerView;
  readonly assignment: AssignmentView;
  readonly ip: string | undefined;
  /** Self-declared by the client: a hint. */
  readonly client: string | undefined;
}

/** A message may name several (subscriptions); all of them must be allowed. */
export type Target = MessageTarget;

export interface Question {
  readonly action: Action;
  readonly target: Target;
  /** Built only when a policy or the log reads them. */
  readonly args: () => unknown;
  /** A later message about a call that was decided with its arguments. */
  readonly isFollowUp?: boolean | undefined;
}

export interface DecidingPolicy {
  readonly id: string;
  readonly name: string;
}

/** What the log keeps of a decision beyond its outcome. */
interface Noted {
  readonly policies: readonly DecidingPolicy[];
  /** Recording level that matching policies ask for. */
  readonly audit?: AuditPayloads | undefined;
  readonly alsoMatched?: readonly OtherMatch[] | undefined;
}

/** Rows 1 and 2 of the decision table. */
type NoAccess = "not_assigned" | "agent_suspended" | "no_active_key";

export type Decision = Noted &
  (
    | { readonly effect: "allow" }
    | { readonly effect: "deny" | "held"; readonly reason: NoAccess | PolicyDecision["reason"] }
  );

export const NOT_ASSIGNED: Decision = { effect: "deny", reason: "not_assigned", policies: [] };

/**
 * Whether the caller may do this: the assignment is a ceiling, policies come below it. Pure, and the gateway's only place where a
 * message is decided. Anything unforeseen is a deny.
 */
export function decide(caller: Caller, question: Question, nowMs: number): Decision {
  if (!isAssigned(caller.assignment, question.target)) return NOT_ASSIGNED;
  const { decision, reason, policies, audit, alsoMatched } = decidePolicies(caller, question, nowMs);
  const noted = { policies, audit, alsoMatched };
  if (decision === "allow") return { effect: "allow", ...noted };
  return { effect: decision === "held" ? "held" : "deny", reason, ...noted };
}

/** Whether the caller may use its server at all. */
export function decideConnect(caller: Caller, nowMs: number): Decision {
  const target: Target = { type: "server", name: caller.server.server.name };
  return decide(caller, { action: "connect", target, args: () => undefined }, nowMs);
}

/** Whether an entry belongs in a list that the caller sees. Conditions on arguments and time count as possible. */
export function couldBeAllowed(caller: Caller, question: Pick<Question, "action" | "target">, nowMs: number): boolean {
  return isAssigned(caller.assignment, question.target) && couldPass(caller, question, nowMs);
}

function isAssigned(assignment: AssignmentView, { type, name }: Target): boolean {
  if (type === "tool") return assignment.isToolAssigned(name);
  if (type === "prompt") return assignment.isPromptAssigned(name);
  if (type === "resource") return assignment.isResourceAssigned(name);
  return type === "server";
}

/** What agents and the people behind them see of a denial or a hold: which rule, and whom to ask. */
export function refusalMessage(
  { agent }: Pick<Caller, "agent">,
  { target }: { readonly target: Target | { readonly type: "skill"; readonly name: string } },
  decision: Decision,
): string {
  const { type, name } = target;
  const what = type === "server" ? "this" : `${type} \`${printable(name)}\``;
  const who = `agent \`${agent.agent.name}\``;
  const rules = nameRules(decision.policies);
  const ask = "ask an administrator of this gateway";
  if (decision.effect === "held") return `${rules} lets ${who} use ${what} only after a person approved it; ${ask}`;
  const reason = decision.effect === "deny" ? decision.reason : undefined;
  if (reason === "policy") return `${rules} forbids ${who} to use ${what}; ${ask} about it`;
  if (reason === "default") return `no policy allows ${who} to use ${what}; ${ask} for one`;
  if (reason === "evaluation_error")
    return `${rules} cannot be evaluated for this message, so ${what} is refused; ${ask} to correct it`;
  if (reason === "agent_suspended") return `${who} is suspended; ${ask} to activate it`;
  if (reason === "no_active_key") return `${who} has no active key, so nothing can be done as it; ${ask} for one`;
  return `${who} may not use ${what}: it is not in its assignment; ${ask} for it`;
}

const RULES_NAMED_MAX = 5;

function nameRules(policies: readonly DecidingPolicy[]): string {
  const names = policies.slice(0, RULES_NAMED_MAX).map(({ name }) => `\`${name}\``);
  const more = policies.length > RULES_NAMED_MAX ? ` and ${policies.length - RULES_NAMED_MAX} more` : "";
  return `policy ${names.join(", ")}${more}`;
}

/** Names come from the client itself here; bounded, and without characters that hide. */
function printable(name: string): string {
  return name.slice(0, 200).replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, "\ufffd");
}

/** The question that a method puts about one target. */
export function toQuestion(rule: MethodRule, target: Target, args: () => unknown): Question {
  return { action: rule.action, target, args, isFollowUp: rule.target === "task" };
}
