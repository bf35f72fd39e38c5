import type { CompiledPolicy } from "./compiled-policy.ts";
import { couldAllow } from "./decide.ts";
import { createPolicyIndex } from "./policy-index.ts";
import type { PolicyRequest } from "./request.ts";

/**
 * Whether a deny leaves no agent anything at all (then it needs `confirm`). `accessOfAgents` gives, for each agent, the
 * requests for what it is assigned; agents without any do not count. Stops at the first agent that keeps something.
 */
export function cutsOffEveryAgent(policy: CompiledPolicy, accessOfAgents: Iterable<Iterable<PolicyRequest>>): boolean {
  if (policy.effect !== "deny" || policy.mode !== "enforce") return false;
  const index = createPolicyIndex([policy]);
  let hasAgents = false;
  for (const access of accessOfAgents) {
    for (const request of access) {
      hasAgents = true;
      if (couldAllow(index, request, { assignmentGrantsAccess: true })) return false;
    }
  }
  return hasAgents;
}
