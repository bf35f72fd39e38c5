import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { NamedPolicy, removeFromPolicies, toNamed } from "../policies/attached-policies.ts";
import { requireVersion } from "../require-version.ts";

const DAYS_30_MS = 30 * 24 * 60 * 60 * 1000;

/** Removes a skill with all its versions. */
export const deleteSkill = defineOperation({
  name: "delete_skill",
  title: "Delete skill",
  description:
    "Removes a skill with all its versions for good: agents lose it at their next message, and it leaves their lists of skills and every policy's scope; a policy that nothing is left of is disabled. Servers are untouched. Needs `confirm: true`; without it, shows the impact.",
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
      limitedAgents: z
        .array(z.object({ id: z.string(), name: z.string() }))
        .describe("Agents whose list of skills loses it; an empty list allows none"),
      policies: z.array(NamedPolicy).describe("Policies whose scope loses it"),
      policiesDisabled: z.array(NamedPolicy).describe("Those of them that nothing is left of: disabled, never widened"),
    }),
  }),
  async handle({ id, expectedVersion }, context) {
    const { repositories, now } = context;
    const skill = await repositories.skills.get(id);
    requireVersion(skill, expectedVersion);
    const { byAgent, last30Days } = await repositories.skills.usage(skill.id, now - DAYS_30_MS);
    const { changed, disabled } = await removeFromPolicies({ kind: "skill", id: skill.id, name: skill.name }, context);
    const limitedAgents = await repositories.skills.delete(skill.id);
    return {
      deleted: { id: skill.id, name: skill.name },
      impact: {
        agents: byAgent.map((agent) => ({ id: agent.id, name: agent.name, count: agent.runs })),
        last30Days,
        limitedAgents: limitedAgents.map((agent) => ({ id: agent.id, name: agent.name })),
        policies: changed.map(toNamed),
        policiesDisabled: disabled.map(toNamed),
      },
    };
  },
  event: ({ deleted, impact: { last30Days, limitedAgents, policies, policiesDisabled } }) => ({
    resource: { type: "skill", id: deleted.id, name: deleted.name },
    policies,
    details: { last30Days, limitedAgents, policies, policiesDisabled },
  }),
  summarize: ({ deleted, impact }) =>
    `Skill \`${deleted.name}\` (${deleted.id}): deletion takes it from all agents; ${impact.last30Days} runs in the last 30 days; ${impact.policiesDisabled.length} policies are disabled.`,
});
