import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { HEALTH_STATES, SERVER_STATUSES, SEVERITIES, TRANSPORTS } from "../../domain/server.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { groupNames, requireGroupId } from "../groups.ts";
import { policiesOfServer, serverIdsFor } from "../policies/policies-of.ts";
import { ServerSummary, summarizeServer } from "./server-output.ts";

const Input = z.object({
  status: z.enum(SERVER_STATUSES).optional().describe("Only servers with this status"),
  health: z.enum(HEALTH_STATES).optional().describe("Only servers in this state"),
  transport: z.enum(TRANSPORTS).optional().describe("Only servers reached this way"),
  group: RefField.optional().describe("Only servers of this group"),
  policy: RefField.optional().describe("Only servers that this policy may concern"),
  agent: RefField.optional().describe("Only servers that this agent is assigned to"),
  risk: z.enum(SEVERITIES).optional().describe("Only servers with this risk"),
  query: QueryField,
  ...pageInput,
});

/** The registered servers, page by page. */
export const listMcpServers = defineOperation({
  name: "list_mcp_servers",
  title: "List MCP servers",
  description:
    "Lists registered servers with status, health, risk and how many tools and agents they have, oldest first. Filter by status, health, transport, group, policy, agent, risk or text.",
  route: "GET /servers",
  command: "servers list",
  roles: READERS,
  effect: "read",
  input: Input,
  output: pageOutput(ServerSummary),
  async handle(input, { repositories, services, now }) {
    const page = await repositories.servers.list(
      await toFilter(input, { repositories, services }),
      toPageRequest(input),
    );
    const ids = page.items.map((server) => server.id);
    const toolCounts = await repositories.servers.toolCounts(ids);
    const agentCounts = await repositories.agents.countByServer(ids);
    const openFindings = await repositories.findings.countByServer(ids, now);
    const names = await groupNames(
      repositories,
      page.items.flatMap((server) => server.groups),
    );
    return toPageAnswer(page, (server) =>
      summarizeServer(server, {
        toolCount: toolCounts.get(server.id) ?? 0,
        agentCount: agentCounts.get(server.id) ?? 0,
        policyCount: policiesOfServer(server, services.snapshot().policies).length,
        openFindings: openFindings.get(server.id) ?? 0,
        groupNames: names,
        publicUrl: services.publicUrl,
      }),
    );
  },
  summarize: ({ items, total }) => `${items.length} of ${total} servers.`,
});

async function toFilter(
  input: z.output<typeof Input>,
  { repositories, services }: Pick<HandleContext, "repositories" | "services">,
) {
  const { status, health, transport, risk, query } = input;
  const groupId = input.group === undefined ? undefined : await requireGroupId(input.group, repositories);
  const agentId = input.agent === undefined ? undefined : (await repositories.agents.get(input.agent)).id;
  const policy = input.policy === undefined ? undefined : await repositories.policies.get(input.policy);
  const ids = policy === undefined ? undefined : serverIdsFor(policy, services.snapshot());
  return { status, health, transport, risk, query, groupId, agentId, ids };
}
