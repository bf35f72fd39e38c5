import { AppError } from "../../lib/errors.ts";
import type { AgentView, ServerView } from "../../snapshot/snapshot.ts";
import type { HandleContext } from "../context.ts";

/** An agent and a server as the gateway sees them. Throws `not_found` naming what does not exist. */
export async function requireViews(
  refs: { readonly agent: string; readonly server: string },
  context: Pick<HandleContext, "repositories" | "services">,
): Promise<{ readonly agent: AgentView; readonly server: ServerView }> {
  const { repositories, services } = context;
  const { id } = await repositories.agents.get(refs.agent);
  const agent = services.snapshot().agentById.get(id);
  if (agent === undefined) throw new AppError("not_found", `agent \`${refs.agent}\` does not exist`);
  return { agent, server: await requireServerView(refs.server, context) };
}

export async function requireServerView(
  ref: string,
  { repositories, services }: Pick<HandleContext, "repositories" | "services">,
): Promise<ServerView> {
  const { id } = await repositories.servers.get(ref);
  const server = services.snapshot().serverById.get(id);
  if (server === undefined) throw new AppError("not_found", `server \`${ref}\` does not exist`);
  return server;
}
