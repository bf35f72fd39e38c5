import type { AuditPayloads } from "./organization.ts";

export const POLICY_EFFECTS = ["allow", "deny", "require_approval"] as const;
/** What a policy does where it matches (contract section 5). */
export type PolicyEffect = (typeof POLICY_EFFECTS)[number];

/** `monitor`: decided and counted, not applied. */
export const POLICY_MODES = ["enforce", "monitor", "disabled"] as const;
export type PolicyMode = (typeof POLICY_MODES)[number];

/** What a message wants to do, in the words of policies (contract section 5); every MCP method maps to one of these. */
export const ACTIONS = [
  "call_tool",
  "read_resource",
  "get_prompt",
  "complete",
  "subscribe",
  "sample",
  "elicit",
  "list_roots",
  "run_skill",
  "connect",
] as const;
export type Action = (typeof ACTIONS)[number];

/** What a rule may name: an action, or all of them. */
export const POLICY_ACTIONS = [...ACTIONS, "any"] as const;
export type ScopedAction = (typeof POLICY_ACTIONS)[number];

export const CONDITION_OPERATORS = [
  "eq",
  "neq",
  "in",
  "not_in",
  "gt",
  "gte",
  "lt",
  "lte",
  "contains",
  "starts_with",
  "ends_with",
  "like",
  "in_cidr",
  "exists",
] as const;
export type ConditionOperator = (typeof CONDITION_OPERATORS)[number];

/** Alternatives. Agents, groups and members are ids. */
export interface PrincipalFields {
  readonly everyone?: boolean | undefined;
  readonly agents?: readonly string[] | undefined;
  readonly agentTypes?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  readonly members?: readonly string[] | undefined;
  readonly roles?: readonly string[] | undefined;
}

export interface PrincipalScope extends PrincipalFields {
  readonly except?: PrincipalFields | undefined;
}

/** (`everything`, `servers` or `groups`) and `tools`; or `skills`. Servers, groups and skills are ids. */
export interface ResourceFields {
  readonly everything?: boolean | undefined;
  readonly servers?: readonly string[] | undefined;
  readonly groups?: readonly string[] | undefined;
  /** `name*`, `<server id>/name*`, `trait:destructive` or `trait:read-only`. */
  readonly tools?: readonly string[] | undefined;
  readonly skills?: readonly string[] | undefined;
}

export interface ResourceScope extends ResourceFields {
  readonly except?: ResourceFields | undefined;
}

export interface PolicyCondition {
  readonly field: string;
  readonly operator: ConditionOperator;
  readonly value?: unknown;
}

/** What a structured policy is made of; a policy written in Cedar has none. */
export interface StructuredRule {
  readonly principals: PrincipalScope;
  readonly resources: ResourceScope;
  readonly actions?: readonly ScopedAction[] | undefined;
  readonly conditions?: readonly PolicyCondition[] | undefined;
}

/** A rule that decides messages. Whatever it names, it names by id. */
export interface Policy {
  readonly id: string;
  readonly name: string;
  readonly description: string | null;
  readonly effect: PolicyEffect;
  readonly mode: PolicyMode;
  /** Null where the policy was written as Cedar text. */
  readonly rule: StructuredRule | null;
  readonly cedar: string;
  /** The JSON form of `cedar`, so that a start needs no Cedar library. */
  readonly ast: unknown;
  /** Keys of all that the policy names, as `mentionKey` makes them. */
  readonly mentions: readonly string[];
  /** How much of matching calls' arguments is recorded; null leaves it to the organization. */
  readonly audit: AuditPayloads | null;
  readonly expiresAt: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a policy may name: an object by its id, a role or an agent type by its word. */
export function mentionKey(kind: "object" | "role" | "agentType", id: string): string {
  return kind === "object" ? id : `${kind}:${id}`;
}
