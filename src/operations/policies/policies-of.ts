import type { Agent } from "../../domain/agent.ts";
import type { Server } from "../../domain/server.ts";
import { mayConcernServer, mayConcernSubject } from "../../policy/applies-to.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import { toSubject } from "../../policy/policy-entities.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";

/** Ids of the policies that may concern this server and this agent; undefined where neither is given. */
export function policyIdsFor(
  { server, agent }: { readonly server?: Server | undefined; readonly agent?: Agent | undefined },
  snapshot: Snapshot,
): readonly string[] | undefined {
  if (server === undefined && agent === undefined) return undefined;
  return [...snapshot.policies.policies.values()]
    .filter((policy) => server === undefined || mayConcernServer(policy, server))
    .filter((policy) => agent === undefined || concernsAgent(policy, agent, snapshot))
    .map(({ id }) => id);
}

/** The policies in force (enforced or watched) that may concern this server, in the order of their names. */
export function policiesOfServer(server: Server, snapshot: Snapshot): readonly CompiledPolicy[] {
  return inForce(snapshot).filter((policy) => mayConcernServer(policy, server));
}

/** The policies in force that may concern this agent, in the order of their names. */
export function policiesOfAgent(agent: Agent, snapshot: Snapshot): readonly CompiledPolicy[] {
  return inForce(snapshot).filter((policy) => concernsAgent(policy, agent, snapshot));
}

function inForce({ policies }: Snapshot): CompiledPolicy[] {
  return [...policies.policies.values()]
    .filter(({ mode }) => mode !== "disabled")
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function concernsAgent(policy: CompiledPolicy, agent: Agent, { memberById }: Snapshot): boolean {
  const member = agent.owner === null ? undefined : memberById.get(agent.owner);
  return mayConcernSubject(policy, toSubject(agent, member));
}
