import { z } from "zod";
import { AGENT_STATUSES, type Agent, type AgentSkill, type Assignment } from "../../../domain/agent.ts";
import type { AgentTable, AssignmentTable } from "../schema.ts";
import { jsonText, storedNames, toJsonOrNull } from "./json-text.ts";

const storedAssignment = z.object({
  serverId: z.string(),
  tools: storedNames.nullable(),
  resources: storedNames.nullable(),
  prompts: storedNames.nullable(),
});

/** A skill that is not pinned is its id alone, as the first schema wrote it. */
const storedSkill = z.union([
  z.string().transform((id): AgentSkill => ({ id, version: null })),
  z.object({ id: z.string(), version: z.number() }),
]);

/** Throws for what no version of this program can have written. */
export const storedSkills = jsonText(z.array(storedSkill));

export function toStoredSkills(skills: readonly AgentSkill[]): string {
  return JSON.stringify(skills.map(({ id, version }) => (version === null ? id : { id, version })));
}

const storedAgent = z.object({
  id: z.string(),
  name: z.string(),
  type: z.string(),
  description: z.string().nullable(),
  owner: z.string().nullable(),
  status: z.enum(AGENT_STATUSES),
  groups: storedNames,
  skills: storedSkills.nullable(),
  lastSeenAt: z.number().nullable(),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

/** Throws for rows that no version of this program can have written. `assignments` MUST be in their order. */
export function toAgent(row: AgentTable, assignments: readonly AssignmentTable[]): Agent {
  return {
    ...storedAgent.parse(row),
    assignments: assignments.map((assignment) => storedAssignment.parse(assignment)),
  };
}

export function toAgentRow(agent: Agent): AgentTable {
  const { id, name, type, description, owner, status, lastSeenAt, version, createdAt, updatedAt } = agent;
  const groups = JSON.stringify(agent.groups);
  const skills = agent.skills === null ? null : toStoredSkills(agent.skills);
  return { id, name, type, description, owner, status, groups, skills, lastSeenAt, version, createdAt, updatedAt };
}

export function toAssignmentRows(agent: Agent): AssignmentTable[] {
  return agent.assignments.map((assignment: Assignment, place) => ({
    agentId: agent.id,
    serverId: assignment.serverId,
    place,
    tools: toJsonOrNull(assignment.tools),
    resources: toJsonOrNull(assignment.resources),
    prompts: toJsonOrNull(assignment.prompts),
  }));
}
