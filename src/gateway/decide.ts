import type { Agent } from "../domain/agent.ts";
import type { ApiKey } from "../domain/api-key.ts";
import type { AgentView, AssignmentView, ServerView, Snapshot } from "../snapshot/snapshot.ts";
import type { Action, MethodRule } from "./methods.ts";

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

/** The thing that a message acts on. A message may name several (subscriptions); all of them must be allowed. */
export interface Target {
  readonly type: "tool" | "prompt" | "resource" | "server";
  readonly name: string;
}

export interface Question {
  readonly action: Action;
  readonly target: Target;
  /** Built only when a rule asks for it. */
  readonly args: () => unknown;
}

export interface DecidingPolicy {
  readonly id: string;
  readonly name: string;
}

export type Decision =
  | { readonly effect: "allow"; readonly policies: readonly DecidingPolicy[] }
  | { readonly effect: "deny"; readonly reason: string; readonly policies: readonly DecidingPolicy[] };

const ALLOWED: Decision = { effect: "allow", policies: [] };
const NOT_ASSIGNED: Decision = { effect: "deny", reason: "not_assigned", policies: [] };

/**
 * Whether the caller may do this: the assignment is a ceiling, policies come below it. Pure, and the only place where a message
 * is decided. Anything unforeseen is a deny.
 */
export function decide(caller: Caller, question: Question): Decision {
  if (!isAssigned(caller.assignment, question.target)) return NOT_ASSIGNED;
  return ALLOWED;
}

/** Whether an entry belongs in a list that the caller sees. Conditions on arguments and time count as possible. */
export function couldBeAllowed(caller: Caller, question: Pick<Question, "action" | "target">): boolean {
  return isAssigned(caller.assignment, question.target);
}

function isAssigned(assignment: AssignmentView, { type, name }: Target): boolean {
  if (type === "tool") return assignment.isToolAssigned(name);
  if (type === "prompt") return assignment.isPromptAssigned(name);
  if (type === "resource") return assignment.isResourceAssigned(name);
  return type === "server";
}

/** What agents see of an agent's name in a denial. */
export function denialMessage(caller: { readonly agent: { readonly agent: Agent } }, question: Question): string {
  const { type, name } = question.target;
  const what = type === "server" ? "this" : `${type} \`${printable(name)}\``;
  return `agent \`${caller.agent.agent.name}\` may not use ${what}: it is not in its assignment; ask an administrator of this gateway for it`;
}

/** Names come from the client itself here; bounded, and without characters that hide. */
function printable(name: string): string {
  return name.slice(0, 200).replaceAll(/[^\p{L}\p{N}\p{P}\p{S} ]/gu, "\ufffd");
}

/** The question that a method puts about one target. */
export function toQuestion(rule: MethodRule, target: Target, args: () => unknown): Question {
  return { action: rule.action, target, args };
}
