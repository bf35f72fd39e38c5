import { z } from "zod";
import { mayConcernServer, mayConcernSubject } from "../../policy/applies-to.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import { toSubject } from "../../policy/policy-entities.ts";
import type { ReplayRules } from "../../policy/replay.ts";
import type { AgentView, ServerView, Snapshot } from "../../snapshot/snapshot.ts";
import { accessOf, checkAccess, type ToolAccess } from "./access-check.ts";
import { NOTHING_REPLAYED, ReplayOutput } from "./replay-impact.ts";

const Named = z.object({ id: z.string(), name: z.string() });

/** Of each kind; the counts of an organization's agents have no end. */
const NAMES_MAX = 200;
/** Tools that are looked at to say who gains and who loses; each costs some microseconds. */
const TOOLS_CHECKED_MAX = 50_000;

export const ImpactOutput = ReplayOutput.extend({
  agents: z.array(Named).describe("Agents that the policy may concern"),
  servers: z.array(Named).describe("Servers that it may concern"),
  gains: z.array(Named).describe("Agents that may now use a tool that they could not"),
  loses: z.array(Named).describe("Agents that may no longer use a tool that they could"),
  isIncomplete: z
    .literal(true)
    .optional()
    .describe("Set where recorded calls could not be read; the change is made all the same"),
});

export type Impact = z.output<typeof ImpactOutput>;

export interface PolicyChange {
  readonly snapshot: Snapshot;
  readonly before: ReplayRules;
  readonly after: ReplayRules;
  /** The policy in its old and its new form, where there is one. */
  readonly concerned: readonly CompiledPolicy[];
  readonly now: number;
}

/** Who is concerned by a change and what becomes of their access, without the replay. */
export function impactOf(change: PolicyChange): Impact {
  const { snapshot, concerned } = change;
  const agents = [...snapshot.agentById.values()].filter((view) => concernsAgent(concerned, view, snapshot));
  const servers = [...snapshot.serverById.values()].filter(({ server }) =>
    concerned.some((policy) => mayConcernServer(policy, server)),
  );
  const { gains, loses } = compareAccess(change, agents, servers);
  return {
    ...NOTHING_REPLAYED,
    agents: named(agents.map(({ agent }) => agent)),
    servers: named(servers.map(({ server }) => server)),
    gains: named(gains.map(({ agent }) => agent)),
    loses: named(loses.map(({ agent }) => agent)),
  };
}

function concernsAgent(policies: readonly CompiledPolicy[], { agent }: AgentView, { memberById }: Snapshot): boolean {
  const subject = toSubject(agent, agent.owner === null ? undefined : memberById.get(agent.owner));
  return policies.some((policy) => mayConcernSubject(policy, subject));
}

interface AccessChange {
  readonly gains: readonly AgentView[];
  readonly loses: readonly AgentView[];
}

function compareAccess(
  change: PolicyChange,
  agents: readonly AgentView[],
  servers: readonly ServerView[],
): AccessChange {
  const gains = new Set<AgentView>();
  const loses = new Set<AgentView>();
  let checked = 0;
  for (const access of accessOf(agents, servers)) {
    checked += 1;
    if (checked > TOOLS_CHECKED_MAX) break;
    const step = rankOf(access, change, change.after) - rankOf(access, change, change.before);
    if (step > 0) gains.add(access.agent);
    if (step < 0) loses.add(access.agent);
  }
  return { gains: [...gains], loses: [...loses] };
}

const RANKS = { denied: 0, conditional: 1, approval: 2, allowed: 3 } as const;

function rankOf(access: ToolAccess, { snapshot, now }: PolicyChange, rules: ReplayRules): number {
  return RANKS[checkAccess(access, { snapshot, rules, now }).access];
}

function named(objects: readonly { readonly id: string; readonly name: string }[]): z.output<typeof Named>[] {
  return objects.slice(0, NAMES_MAX).map(({ id, name }) => ({ id, name }));
}
