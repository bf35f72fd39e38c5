import { z } from "zod";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { NamedPolicy, removeFromPolicies, toNamed } from "../policies/attached-policies.ts";
import { requireVersion } from "../require-version.ts";
import { revokeAgentKeys } from "./agent-key.ts";

/** Removes an agent, revokes its keys and ends its sessions. */
export const deleteAgent = defineOperation({
  name: "delete_agent",
  title: "Delete agent",
  description:
    "Removes an agent for good: revokes its keys and ends its live sessions at once, and takes it out of policies; one that nothing is left of is disabled. Its audit history stays. Needs `confirm: true`; without it, shows the impact. To stop an agent and keep it, suspend it instead.",
  route: "DELETE /agents/{id}",
  command: "agents delete",
  roles: ["owner", "admin", "operator"],
  effect: "destroy",
  action: "agent.delete",
  input: z.object({ id: RefField.describe("Agent, by id or name"), expectedVersion: ExpectedVersionField }),
  output: z.object({
    deleted: z.object({ id: z.string(), name: z.string() }),
    impact: z.object({
      keysRevoked: z.int(),
      liveSessions: z.int(),
      servers: z.int().describe("Servers it was assigned to"),
      policies: z.array(NamedPolicy).describe("Policies whose scope loses it"),
      policiesDisabled: z.array(NamedPolicy).describe("Those of them that nothing is left of: disabled, never widened"),
    }),
  }),
  async handle({ id, expectedVersion }, context) {
    const { repositories, services } = context;
    const agent = await repositories.agents.get(id);
    requireVersion(agent, expectedVersion);
    const liveSessions = services.sessions.countByAgent(agent.id);
    const keysRevoked = await revokeAgentKeys(agent, "agent deleted", context);
    const { changed, disabled } = await removeFromPolicies({ kind: "agent", id: agent.id, name: agent.name }, context);
    await repositories.agents.delete(agent.id);
    return {
      deleted: { id: agent.id, name: agent.name },
      impact: {
        keysRevoked,
        liveSessions,
        servers: agent.assignments.length,
        policies: changed.map(toNamed),
        policiesDisabled: disabled.map(toNamed),
      },
    };
  },
  event: ({ deleted, impact }) => ({
    resource: { type: "agent", id: deleted.id, name: deleted.name },
    policies: impact.policies,
    details: { ...impact },
  }),
  summarize: ({ deleted, impact }) =>
    `Agent \`${deleted.name}\` (${deleted.id}): deletion revokes ${impact.keysRevoked} keys and ends ${impact.liveSessions} live sessions.`,
});
