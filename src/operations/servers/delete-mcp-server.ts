import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { defineOperation } from "../define-operation.ts";
import type { HandleContext } from "../context.ts";
import { ExpectedVersionField, RefField } from "../fields.ts";
import { NamedPolicy, removeFromPolicies, toNamed } from "../policies/attached-policies.ts";
import { requireVersion } from "../require-version.ts";

const PAGE_ROWS = 200;

/** Removes a server from the registry and from every agent. */
export const deleteMcpServer = defineOperation({
  name: "delete_mcp_server",
  title: "Delete MCP server",
  description:
    "Removes a server for good: ends its live sessions and takes it out of every agent's assignment and every policy's scope; a policy that nothing is left of is disabled. Needs `confirm: true`; without it, shows the impact. To stop a server and keep it, set its status to `disabled` instead.",
  route: "DELETE /servers/{id}",
  command: "servers delete",
  roles: ["owner", "admin", "operator"],
  effect: "destroy",
  action: "server.delete",
  input: z.object({ id: RefField.describe("Server, by id or name"), expectedVersion: ExpectedVersionField }),
  output: z.object({
    deleted: z.object({ id: z.string(), name: z.string() }),
    impact: z.object({
      agents: z.array(z.object({ id: z.string(), name: z.string() })).describe("Agents that lose this server"),
      skills: z
        .array(z.object({ id: z.string(), name: z.string() }))
        .describe("Skills that need this server and become degraded"),
      liveSessions: z.int().describe("Sessions that end"),
      policies: z.array(NamedPolicy).describe("Policies whose scope loses it"),
      policiesDisabled: z.array(NamedPolicy).describe("Those of them that nothing is left of: disabled, never widened"),
    }),
  }),
  async handle({ id, expectedVersion }, context) {
    const { repositories, services } = context;
    const server = await repositories.servers.get(id);
    requireVersion(server, expectedVersion);
    const liveSessions = services.sessions.countByServer(server.id);
    const skills = await dependentSkills(server.id, context);
    const agents = await removeFromAgents(server.id, context);
    const { changed, disabled } = await removeFromPolicies(
      { kind: "server", id: server.id, name: server.name },
      context,
    );
    await repositories.servers.delete(server.id);
    return {
      deleted: { id: server.id, name: server.name },
      impact: {
        agents: agents.map((agent) => ({ id: agent.id, name: agent.name })),
        skills,
        liveSessions,
        policies: changed.map(toNamed),
        policiesDisabled: disabled.map(toNamed),
      },
    };
  },
  event: ({ deleted, impact }) => ({
    resource: { type: "server", id: deleted.id, name: deleted.name },
    policies: impact.policies,
    details: { ...impact },
  }),
  summarize: ({ deleted, impact }) =>
    `Server \`${deleted.name}\` (${deleted.id}): deletion takes it from ${impact.agents.length} agents and ends ${impact.liveSessions} live sessions; ${impact.policiesDisabled.length} policies are disabled.`,
});

async function dependentSkills(serverId: string, { repositories }: HandleContext) {
  const found: { readonly id: string; readonly name: string }[] = [];
  let after: string | undefined;
  do {
    const page = await repositories.skills.list({ serverId }, { limit: PAGE_ROWS, after });
    found.push(...page.items.map(({ id, name }) => ({ id, name })));
    after = page.next;
  } while (after !== undefined);
  return found;
}

async function removeFromAgents(serverId: string, { repositories, now }: HandleContext): Promise<readonly Agent[]> {
  const removed: Agent[] = [];
  for (;;) {
    const page = await repositories.agents.list({ serverId }, { limit: PAGE_ROWS });
    if (page.items.length === 0) return removed;
    for (const agent of page.items) {
      const assignments = agent.assignments.filter((assignment) => assignment.serverId !== serverId);
      await repositories.agents.save({ ...agent, assignments, version: agent.version + 1, updatedAt: now });
    }
    removed.push(...page.items);
  }
}
