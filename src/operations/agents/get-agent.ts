import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { AgentOutput, showAgent } from "./agent-output.ts";
import { EffectiveAccess, effectiveAccess } from "./effective-access.ts";
import { recentDenials, RecentDenials } from "./recent-denials.ts";
import { getVisibleAgent } from "./visible-agent.ts";

/** One agent with its rights and its recent refusals. */
export const getAgent = defineOperation({
  name: "get_agent",
  title: "Get agent",
  description:
    "Shows one agent: type, owner, status, assigned servers with their limits, the policies that may concern it, what it may do with each tool and which policy says so, compliance, key hint, live sessions and its latest denials.",
  route: "GET /agents/{id}",
  command: "agents get",
  roles: [...READERS, "member"],
  effect: "read",
  input: z.object({ id: RefField.describe("Agent, by id or name") }),
  output: z.object({ agent: AgentOutput.extend({ access: EffectiveAccess, recentDenials: RecentDenials }) }),
  async prepare({ id }, { services }) {
    await services.flushAudit();
    return async (context) => {
      const agent = await getVisibleAgent(id, context);
      const denials = await recentDenials(agent.id, context.repositories);
      const access = effectiveAccess(agent, context);
      return { agent: { ...(await showAgent(agent, context)), access, recentDenials: denials } };
    };
  },
  summarize: ({ agent }) =>
    `Agent \`${agent.name}\` (${agent.id}) is ${agent.status}: ${agent.servers.length} servers, ${agent.liveSessions} live sessions, ${agent.recentDenials.length} recent denials.`,
});
