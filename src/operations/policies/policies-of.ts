import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { POLICY_EFFECTS, POLICY_MODES, type Policy } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import { mayConcernServer, mayConcernSubject } from "../../policy/applies-to.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import { type PolicyIndex, withPolicy } from "../../policy/policy-index.ts";
import { toSubject } from "../../policy/policy-entities.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
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

/** Ids of the servers that a policy may concern. */
export function serverIdsFor(policy: Policy, { serverById }: Snapshot): readonly string[] {
  const compiled = toCompiledPolicy(policy);
  return [...serverById.values()]
    .filter(({ server }) => mayConcernServer(compiled, server))
    .map(({ server }) => server.id);
}

export const AppliedPolicy = z.object({
  id: z.string(),
  name: z.string(),
  effect: z.enum(POLICY_EFFECTS),
  mode: z.enum(POLICY_MODES),
});

type AppliedPolicy = z.output<typeof AppliedPolicy>;

/** The policies in force (enforced or watched) that may concern this server, in the order of their names. */
export function policiesOfServer(server: Server, policies: PolicyIndex): readonly AppliedPolicy[] {
  return inForce(policies)
    .filter((policy) => mayConcernServer(policy, server))
    .map(show);
}

/** The policies in force that may concern this agent, in the order of their names. */
export function policiesOfAgent(
  agent: Agent,
  { policies, memberById }: Pick<Snapshot, "policies" | "memberById">,
): readonly AppliedPolicy[] {
  return inForce(policies)
    .filter((policy) => concernsAgent(policy, agent, { memberById }))
    .map(show);
}

/** The live policies with what a transaction has changed of them so far. */
export function withChanges(index: PolicyIndex, changed: readonly Policy[]): PolicyIndex {
  return changed.map(toCompiledPolicy).reduce(withPolicy, index);
}

function inForce({ policies }: PolicyIndex): CompiledPolicy[] {
  return [...policies.values()]
    .filter(({ mode }) => mode !== "disabled")
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function show({ id, name, effect, mode }: CompiledPolicy): AppliedPolicy {
  return { id, name, effect, mode };
}

function concernsAgent(policy: CompiledPolicy, agent: Agent, { memberById }: Pick<Snapshot, "memberById">): boolean {
  const member = agent.owner === null ? undefined : memberById.get(agent.owner);
  return mayConcernSubject(policy, toSubject(agent, member));
}
