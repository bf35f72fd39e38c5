import { notFound, SERVER } from "../../domain/not-found.ts";
import type { Server } from "../../domain/server.ts";
import type { HandleContext } from "../context.ts";

/** The server as this caller may name it: for a `member` only those that its own agents are assigned to exist. */
export async function getVisibleServer(ref: string, { repositories, caller }: HandleContext): Promise<Server> {
  const server = await repositories.servers.get(ref);
  if (caller.role !== "member") return server;
  if (caller.memberId !== null) {
    const own = await repositories.agents.list({ owner: caller.memberId, serverId: server.id }, { limit: 1 });
    if (own.items.length > 0) return server;
  }
  throw notFound(SERVER, ref);
}
