import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { POLICY_EFFECTS, POLICY_MODES, type Policy } from "../../domain/policy.ts";
import type { Server } from "../../domain/server.ts";
import { concernsServer, mayConcernServer, mayConcernSubject } from "../../policy/applies-to.ts";
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
  const ofServer = server === undefined ? () => true : concernsServer(server);
  const ofAgent = agent === undefined ? () => true : concernsAgent(agent, snapshot);
  return [...snapshot.policies.policies.values()]
    .filter((policy) => ofServer(policy) && ofAgent(policy))
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
  return inForce(policies, concernsServer(server));
}

/** The policies in force that may concern this agent, in the order of their names. */
export function policiesOfAgent(
  agent: Agent,
  { policies, memberById }: Pick<Snapshot, "policies" | "memberById">,
): readonly AppliedPolicy[] {
  return inForce(policies, concernsAgent(agent, { memberById }));
}

/** The live policies with what a transaction has changed of them so far. */
export function withChanges(index: PolicyIndex, changed: readonly Policy[]): PolicyIndex {
  return changed.map(toCompiledPolicy).reduce(withPolicy, index);
}

function inForce({ policies }: PolicyIndex, isConcerned: (policy: CompiledPolicy) => boolean): AppliedPolicy[] {
  return [...policies.values()]
    .filter((policy) => policy.mode !== "disabled" && isConcerned(policy))
    .map(({ id, name, effect, mode }) => ({ id, name, effect, mode }))
    .toSorted((left, right) => (left.name < right.name ? -1 : 1));
}

function concernsAgent(
  agent: Agent,
  { memberById }: Pick<Snapshot, "memberById">,
): (policy: CompiledPolicy) => boolean {
  const subject = toSubject(agent, agent.owner === null ? undefined : memberById.get(agent.owner));
  return (policy) => mayConcernSubject(policy, subject);
}
