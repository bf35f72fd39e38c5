import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { defineOperation } from "../define-operation.ts";
import { resolveGroups } from "../groups.ts";
import { attachedPolicyFields, attachPolicies } from "../policies/attached-policies.ts";
import { refuseScopedChange, requireGuardian } from "../policies/scoped-change.ts";
import { agentFields, resolveAssignments, resolveSkills } from "./agent-fields.ts";
import { issueAgentKey } from "./agent-key.ts";
import { AgentOutput, showAgent } from "./agent-output.ts";
import { ConnectionOutput, toConnection } from "./connection.ts";

/** Registers an AI client and gives it its gateway key. */
export const createAgent = defineOperation({
  name: "create_agent",
  title: "Register agent",
  description:
    "Registers an AI client so that it can reach its assigned servers through the gateway. Returns the agent, its key (shown only here) and a client configuration to paste.",
  route: "POST /agents",
  command: "agents create",
  roles: ["owner", "admin", "operator"],
  effect: "write",
  isCreation: true,
  secrets: ["key", "connection.config"],
  action: "agent.create",
  input: z.object({
    name: agentFields.name,
    type: agentFields.type,
    description: agentFields.description.optional(),
    owner: agentFields.owner.optional(),
    servers: agentFields.servers.optional(),
    skills: agentFields.skills.optional(),
    groups: agentFields.groups.optional(),
    policies: attachedPolicyFields.policies.optional(),
  }),
  output: z.object({
    agent: AgentOutput,
    key: z.string().optional().describe("The agent's gateway key; shown only here"),
    connection: ConnectionOutput.optional(),
  }),
  async handle(input, context) {
    const { repositories, services, now } = context;
    const agent: Agent = {
      id: services.newId(),
      name: input.name,
      type: input.type,
      description: input.description ?? null,
      owner: input.owner === undefined ? null : (await repositories.members.get(input.owner)).id,
      status: "active",
      skills: input.skills === undefined ? null : await resolveSkills(input.skills, repositories),
      assignments: await resolveAssignments(input.servers ?? [], repositories),
      groups: await resolveGroups(input.groups ?? [], context),
      lastSeenAt: null,
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    if (input.policies !== undefined) requireGuardian(context.caller.role, "policies");
    await refuseScopedChange(agent.id, { before: undefined, after: agent }, context);
    await repositories.agents.insert(agent);
    const attached = { kind: "agent", id: agent.id, name: agent.name } as const;
    const { changed } = await attachPolicies(attached, { addPolicies: input.policies }, context);
    const key = await issueAgentKey(agent, context);
    return {
      agent: await showAgent(agent, context, changed),
      key,
      connection: await toConnection(agent, key, context),
    };
  },
  event: ({ agent }) => ({
    resource: { type: "agent", id: agent.id, name: agent.name },
    details: { type: agent.type, servers: agent.servers.map(({ server }) => server), keyId: agent.key?.id ?? null },
  }),
  summarize: ({ agent }) =>
    `Agent \`${agent.name}\` (${agent.id}) is registered with ${agent.servers.length} servers; its key is shown once, in \`key\`.`,
});
