import type { Agent } from "../../domain/agent.ts";
import { AGENT, notFound } from "../../domain/not-found.ts";
import type { HandleContext } from "../context.ts";

/** The agent as this caller may see it: a `member` sees its own only, others do not exist for it. */
export async function getVisibleAgent(ref: string, { repositories, caller }: HandleContext): Promise<Agent> {
  const agent = await repositories.agents.get(ref);
  if (caller.role !== "member" || (caller.memberId !== null && agent.owner === caller.memberId)) return agent;
  throw notFound(AGENT, ref);
}
