import { z } from "zod";
import { AGENT_STATUSES, type Agent, type AgentSkill, type Assignment } from "../../domain/agent.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { Repositories } from "../../store/ports.ts";
import { asWritten } from "../as-written.ts";
import type { HandleContext } from "../context.ts";
import type { Policy } from "../../domain/policy.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import { groupNames } from "../groups.ts";
import { AppliedPolicy, policiesOfAgent, withChanges } from "../policies/policies-of.ts";
import { complianceOf, ComplianceOutput } from "./compliance.ts";

const Named = z.object({ id: z.string(), name: z.string() });
const Globs = asWritten(z.array(z.string()));

export const AgentOutput = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  description: z.string().nullable(),
  owner: Named.nullable(),
  status: z.enum(AGENT_STATUSES),
  servers: z.array(
    z.object({
      server: Named,
      tools: Globs.optional(),
      resources: Globs.optional(),
      prompts: Globs.optional(),
    }),
  ),
  skills: z
    .array(
      Named.extend({ version: z.int().optional().describe("That it is pinned to; absent for the one that serves") }),
    )
    .nullable()
    .describe("The only skills it may use; null for all that its servers allow"),
  groups: z.array(z.string()),
  policies: z.array(AppliedPolicy).describe("Policies in force that may concern it"),
  policyCount: z.int(),
  compliance: ComplianceOutput,
  lastSeenAt: z.string().nullable(),
  key: z.object({ id: z.string(), hint: z.string(), createdAt: z.string() }).nullable(),
  liveSessions: z.int(),
  version: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

type ShowContext = Pick<HandleContext, "repositories" | "services" | "now">;

/** Shows agents with names instead of ids, reading what they refer to. */
export async function showAgents(
  agents: readonly Agent[],
  context: ShowContext,
  changedPolicies: readonly Policy[] = [],
): Promise<z.output<typeof AgentOutput>[]> {
  const groups = await groupNames(
    context.repositories,
    agents.flatMap((agent) => agent.groups),
  );
  const { policies, memberById } = context.services.snapshot();
  const facts = {
    groups,
    memberById,
    policies: withChanges(policies, changedPolicies),
    compliance: await complianceOf(agents, context),
  };
  return Promise.all(agents.map((agent) => show(agent, facts, context)));
}

export async function showAgent(
  agent: Agent,
  context: ShowContext,
  changedPolicies: readonly Policy[] = [],
): Promise<z.output<typeof AgentOutput>> {
  const [shown] = await showAgents([agent], context, changedPolicies);
  if (shown === undefined) throw new Error("invariant violated: one agent is shown as one");
  return shown;
}

interface AgentFacts extends Pick<Snapshot, "policies" | "memberById"> {
  readonly groups: ReadonlyMap<string, string>;
  readonly compliance: (agent: Agent) => ComplianceOutput;
}

async function show(
  agent: Agent,
  facts: AgentFacts,
  { repositories, services, now }: ShowContext,
): Promise<z.output<typeof AgentOutput>> {
  const owner = agent.owner === null ? undefined : await repositories.members.find(agent.owner);
  const [key] = await repositories.apiKeys.activeOfAgent(agent.id, now);
  const policies = policiesOfAgent(agent, facts);
  return {
    id: agent.id,
    name: agent.name,
    type: agent.type,
    description: agent.description,
    owner: owner === undefined ? null : { id: owner.id, name: owner.name },
    status: agent.status,
    servers: await Promise.all(agent.assignments.map((assignment) => showAssignment(assignment, repositories))),
    skills:
      agent.skills === null ? null : await Promise.all(agent.skills.map((skill) => showSkill(skill, repositories))),
    groups: agent.groups.map((id) => facts.groups.get(id) ?? id),
    policies: [...policies],
    policyCount: policies.length,
    compliance: facts.compliance(agent),
    lastSeenAt: agent.lastSeenAt === null ? null : toRfc3339(agent.lastSeenAt),
    key: key === undefined ? null : { id: key.id, hint: key.hint, createdAt: toRfc3339(key.createdAt) },
    liveSessions: services.sessions.countByAgent(agent.id),
    version: agent.version,
    createdAt: toRfc3339(agent.createdAt),
    updatedAt: toRfc3339(agent.updatedAt),
  };
}

async function showSkill({ id, version }: AgentSkill, { skills }: Repositories) {
  return { id, name: (await skills.find(id))?.name ?? id, ...(version === null ? {} : { version }) };
}

async function showAssignment({ serverId, tools, resources, prompts }: Assignment, repositories: Repositories) {
  const server = await repositories.servers.find(serverId);
  return {
    server: { id: serverId, name: server?.name ?? serverId },
    ...(tools === null ? {} : { tools: [...tools] }),
    ...(resources === null ? {} : { resources: [...resources] }),
    ...(prompts === null ? {} : { prompts: [...prompts] }),
  };
}
