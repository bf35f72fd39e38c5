import type { ScopedAction, PolicyCondition, PolicyEffect, PrincipalScope, ResourceScope } from "../domain/policy.ts";

export type {
  ConditionOperator,
  PolicyCondition,
  PrincipalFields,
  PrincipalScope,
  ResourceFields,
  ResourceScope,
} from "../domain/policy.ts";
export { CONDITION_OPERATORS } from "../domain/policy.ts";

/** A structured policy (contract section 5) with every reference already resolved to an id. */
export interface PolicyRule {
  readonly effect: PolicyEffect;
  readonly principals: PrincipalScope;
  readonly resources: ResourceScope;
  /** Unset: `any` for a deny, `call_tool` and `run_skill` for the others. */
  readonly actions?: readonly ScopedAction[] | undefined;
  readonly conditions?: readonly PolicyCondition[] | undefined;
}

/** The actions that a rule is about, also where it names none. */
export function actionsOf({ actions = [], effect }: Pick<PolicyRule, "actions" | "effect">): readonly ScopedAction[] {
  if (actions.length > 0) return actions;
  return effect === "deny" ? ["any"] : ["call_tool", "run_skill"];
}
