import type { CompiledPolicy } from "./compiled-policy.ts";
import { couldAllowMessage, type Message } from "./decide-message.ts";
import { createPolicyIndex } from "./policy-index.ts";

/**
 * Whether a deny leaves no agent anything at all (then it needs `confirm`). `accessOfAgents` gives, for each agent, the
 * messages for what it is assigned; agents without any do not count. Stops at the first agent that keeps something.
 */
export function cutsOffEveryAgent(policy: CompiledPolicy, accessOfAgents: Iterable<Iterable<Message>>): boolean {
  if (policy.effect !== "deny" || policy.mode !== "enforce") return false;
  const index = createPolicyIndex([policy]);
  let hasAgents = false;
  for (const access of accessOfAgents) {
    for (const message of access) {
      hasAgents = true;
      if (couldAllowMessage(index, message, { assignmentGrantsAccess: true })) return false;
    }
  }
  return hasAgents;
}
