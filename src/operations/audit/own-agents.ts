import type { Caller } from "../context.ts";
import type { Repositories } from "../../store/ports.ts";

/** Agents that the caller's member answers for, at most a page of the largest size: what a `member` may see events of. */
export async function ownAgentIds({ memberId }: Caller, { agents }: Repositories): Promise<readonly string[]> {
  if (memberId === null) return [];
  const page = await agents.list({ owner: memberId }, { limit: 200 });
  return page.items.map((agent) => agent.id);
}
