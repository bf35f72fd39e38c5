import { couldBeAllowed, decideConnect, type Caller, type Decision } from "../decide.ts";
import type { ToolDefinition } from "../../domain/server.ts";
import { accessAs } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import type { Connection } from "./connections.ts";
import type { SkillAsker } from "./skill-decision.ts";
import { toToolName } from "./tool-names.ts";

/** A tool of one of the agent's servers. */
export interface VisibleTool {
  readonly serverId: string;
  readonly definition: ToolDefinition;
}

/** A server of the agent, and whether policies let it connect there. */
export interface AssignedServer {
  readonly caller: Caller;
  readonly connect: Decision;
}

/** The agent's servers that serve now, in the order of its assignment. */
export function assignedServers(
  { agent, snapshot }: SkillAsker,
  connection: Connection,
  { clock }: GatewayContext,
): readonly AssignedServer[] {
  const now = clock.now();
  return agent.agent.assignments.flatMap(({ serverId }) => {
    const access = accessAs({ ...connection, serverId }, snapshot, now);
    return access.ok ? [{ caller: access.caller, connect: decideConnect(access.caller, now) }] : [];
  });
}

/**
 * The tools that the agent could call, server by server, as they were last accepted. A server whose tools nobody has seen yet is
 * asked now; one that cannot be reached has none, and neither has one that the agent may not connect to.
 */
export async function visibleTools(
  servers: readonly AssignedServer[],
  connection: Connection,
  context: GatewayContext,
): Promise<readonly VisibleTool[]> {
  const perServer = servers
    .filter(({ connect }) => connect.effect !== "deny")
    .map(async ({ caller }) => knownTools(caller, context) ?? askedTools(caller, connection));
  return (await Promise.all(perServer)).flat();
}

/** What is in the live view; undefined for a server that lists nothing as far as is known. */
function knownTools(caller: Caller, { clock }: GatewayContext): readonly VisibleTool[] | undefined {
  const { server, toolByName } = caller.server;
  if (toolByName.size === 0) return undefined;
  const now = clock.now();
  return [...toolByName.values()]
    .filter(({ name }) => couldBeAllowed(caller, { action: "call_tool", target: { type: "tool", name } }, now))
    .map(({ definition }) => ({ serverId: server.id, definition }));
}

/** The gateway filters its own answer, as for every client of the server. What was accepted before stays as it was accepted. */
async function askedTools({ server }: Caller, { clients }: Connection): Promise<readonly VisibleTool[]> {
  const { id } = server.server;
  const accepted = new Map(server.absentTools.map((tool) => [tool.name, tool.definition]));
  try {
    const tools = await clients.listTools(id);
    return tools.map((tool) => ({ serverId: id, definition: accepted.get(tool.name) ?? tool }));
  } catch {
    // Recorded and reported where it failed: one server that is down must not take the others from the list.
    return [];
  }
}

/** Where a name leads: to a tool of an assigned server, whether or not the agent may call it. */
export function findTool(
  { agent, snapshot }: SkillAsker,
  name: string,
): { readonly serverId: string; readonly tool: string } | undefined {
  for (const serverId of agent.assignmentByServerId.keys()) {
    const view = snapshot.serverById.get(serverId);
    if (view === undefined) continue;
    const prefix = `${view.server.name}__`;
    const known = [...view.toolByName.keys()].find((tool) => toToolName(view.server.name, tool) === name);
    if (known !== undefined) return { serverId, tool: known };
    if (name.startsWith(prefix)) return { serverId, tool: name.slice(prefix.length) };
  }
  return undefined;
}
