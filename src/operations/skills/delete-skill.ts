import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { requireVersion } from "../require-version.ts";

const DAYS_30_MS = 30 * 24 * 60 * 60 * 1000;

/** Removes a skill with all its versions. */
export const deleteSkill = defineOperation({
  name: "delete_skill",
  title: "Delete skill",
  description:
    "Removes a skill with all its versions for good; agents lose it at their next message, servers are untouched. Needs `confirm: true`; without it, shows the impact.",
  route: "DELETE /skills/{id}",
  command: "skills delete",
  roles: ["owner", "admin", "operator"],
  effect: "destroy",
  action: "skill.delete",
  input: z.object({ id: RefField.describe("Skill, by id or name"), expectedVersion: ExpectedVersionField }),
  output: z.object({
    deleted: z.object({ id: z.string(), name: z.string() }),
    impact: z.object({
      agents: z
        .array(z.object({ id: z.string(), name: z.string(), count: z.int() }))
        .describe("Agents that ran it, and how often"),
      last30Days: z.int().describe("Runs in the last 30 days"),
    }),
  }),
  async handle({ id, expectedVersion }, { repositories, now }) {
    const skill = await repositories.skills.get(id);
    requireVersion(skill, expectedVersion);
    const { byAgent, last30Days } = await repositories.skills.usage(skill.id, now - DAYS_30_MS);
    await repositories.skills.delete(skill.id);
    const agents = byAgent.map((agent) => ({ id: agent.id, name: agent.name, count: agent.runs }));
    return { deleted: { id: skill.id, name: skill.name }, impact: { agents, last30Days } };
  },
  event: ({ deleted, impact }) => ({
    resource: { type: "skill", id: deleted.id, name: deleted.name },
    details: { last30Days: impact.last30Days },
  }),
  summarize: ({ deleted, impact }) =>
    `Skill \`${deleted.name}\` (${deleted.id}): deletion takes it from all agents; ${impact.last30Days} runs in the last 30 days.`,
});
