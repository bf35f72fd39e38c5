import { z } from "zod";
import { AGENT_STATUSES } from "../../domain/agent.ts";
import { MEMBER, notFound } from "../../domain/not-found.ts";
import { READERS } from "../../domain/role.ts";
import type { AgentFilter } from "../../store/ports.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { requireGroupId, unknownGroup } from "../groups.ts";
import { getVisibleServer } from "../servers/visible-server.ts";
import { agentFields } from "./agent-fields.ts";
import { COMPLIANCE_STATES, complianceSince } from "./compliance.ts";
import { AgentOutput, showAgents } from "./agent-output.ts";
import { ownerSeen } from "./own-agents.ts";

const Input = z.object({
  type: agentFields.type.optional().describe("Only agents of this type"),
  status: z.enum(AGENT_STATUSES).optional().describe("Only agents with this status"),
  server: RefField.optional().describe("Only agents assigned to this server"),
  group: RefField.optional().describe("Only agents of this group"),
  owner: RefField.optional().describe("Only agents that this member answers for"),
  compliance: z.enum(COMPLIANCE_STATES).optional().describe("Only agents in this state of compliance"),
  query: QueryField,
  ...pageInput,
});

/** The registered agents, page by page. */
export const listAgents = defineOperation({
  name: "list_agents",
  title: "List agents",
  description:
    "Lists agents with type, owner, status, assigned servers, policies, compliance and when they were last seen, oldest first. Filter by type, status, server, group, owner, compliance or text.",
  route: "GET /agents",
  command: "agents list",
  roles: [...READERS, "member"],
  effect: "read",
  input: Input,
  output: pageOutput(AgentOutput),
  async prepare(input, { services }) {
    // What was decided before this call is in the compliance that it shows.
    await services.flushAudit();
    return async (context) => {
      const page = await context.repositories.agents.list(await toFilter(input, context), toPageRequest(input));
      const shown = await showAgents(page.items, context);
      return toPageAnswer({ ...page, items: shown }, (agent) => agent);
    };
  },
  summarize: ({ items, total }) => `${items.length} of ${total} agents.`,
});

async function toFilter(input: z.output<typeof Input>, context: HandleContext): Promise<AgentFilter> {
  const { caller, now } = context;
  const { type, status, query } = input;
  const serverId = input.server === undefined ? undefined : (await getVisibleServer(input.server, context)).id;
  const groupId = input.group === undefined ? undefined : await visibleGroupId(input.group, context);
  const asked = input.owner === undefined ? undefined : await visibleOwnerId(input.owner, context);
  const compliance = input.compliance === undefined ? undefined : { state: input.compliance, ...complianceSince(now) };
  return { type, status, query, serverId, groupId, compliance, owner: ownerSeen(caller) ?? asked };
}

/** For a `member`, only the groups of its own agents exist. */
async function visibleGroupId(ref: string, { repositories, caller }: HandleContext): Promise<string> {
  const groupId = await requireGroupId(ref, repositories);
  const owner = ownerSeen(caller);
  if (owner === undefined) return groupId;
  const { items } = await repositories.agents.list({ owner, groupId }, { limit: 1 });
  if (items.length > 0) return groupId;
  throw unknownGroup(ref);
}

/** For a `member`, no other member exists. */
async function visibleOwnerId(ref: string, { repositories, caller }: HandleContext): Promise<string> {
  const { id } = await repositories.members.get(ref);
  if (caller.role !== "member" || id === caller.memberId) return id;
  throw notFound(MEMBER, ref);
}
