import type { PolicyAction } from "./actions.ts";
import type { PolicyEffect } from "./policy-terms.ts";

/** A structured policy (contract section 5) with every reference already resolved to an id. */
export interface PolicyRule {
  readonly effect: PolicyEffect;
  readonly principals: PrincipalScope;
  readonly resources: ResourceScope;
  /** Unset: `any` for a deny, `call_tool` and `run_skill` for the others. */
  readonly actions?: readonly (PolicyAction | "any")[] | undefined;
  readonly conditions?: readonly PolicyCondition[] | undefined;
}

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

export interface PolicyCondition {
  /** `args.<path>`, `context.ip|time|weekday|client`, `tool.name`, `agent.type` or `member.email`. */
  readonly field: string;
  readonly operator: ConditionOperator;
  readonly value?: unknown;
}
