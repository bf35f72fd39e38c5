import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField } from "../fields.ts";
import { AgentOutput, showAgent } from "./agent-output.ts";
import { recentDenials, RecentDenials } from "./recent-denials.ts";
import { getVisibleAgent } from "./visible-agent.ts";

/** One agent with its rights and its recent refusals. */
export const getAgent = defineOperation({
  name: "get_agent",
  title: "Get agent",
  description:
    "Shows one agent: type, owner, status, assigned servers with their limits, key hint, live sessions and its latest denials.",
  route: "GET /agents/{id}",
  command: "agents get",
  roles: [...READERS, "member"],
  effect: "read",
  input: z.object({ id: RefField.describe("Agent, by id or name") }),
  output: z.object({ agent: AgentOutput.extend({ recentDenials: RecentDenials }) }),
  async prepare({ id }, { services }) {
    await services.flushAudit();
    return async (context) => {
      const agent = await getVisibleAgent(id, context);
      const denials = await recentDenials(agent.id, context.repositories);
      return { agent: { ...(await showAgent(agent, context)), recentDenials: denials } };
    };
  },
  summarize: ({ agent }) =>
    `Agent \`${agent.name}\` (${agent.id}) is ${agent.status}: ${agent.servers.length} servers, ${agent.liveSessions} live sessions, ${agent.recentDenials.length} recent denials.`,
});
