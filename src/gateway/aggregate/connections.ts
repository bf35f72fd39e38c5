import { keyStatus } from "../../domain/api-key.ts";
import { BEHIND } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import type { InnerClients } from "./inner-clients.ts";
import type { SkillAsker } from "./skill-decision.ts";
import type { ToolNames } from "./tool-naming.ts";

/** One client of `/gateway/mcp`: who it is, and its ways to the servers behind. */
export interface Connection {
  readonly agentId: string;
  /** This and what follows: as of its latest message. */
  keyId: string;
  ip: string | undefined;
  client: string | undefined;
  /** Of a session; requests of the stateless revision have none. */
  readonly sessionId: string | undefined;
  readonly clients: InnerClients;
  readonly names: ToolNames;
}

/** Whether the agent still may use the gateway at all. */
export function isStillAllowed(connection: Connection, context: GatewayContext): boolean {
  return findAsker(connection, context) !== undefined;
}

function findAsker(
  { agentId, keyId, ip, client }: Connection,
  { liveView, clock }: GatewayContext,
): SkillAsker | undefined {
  const snapshot = liveView.current;
  const agent = snapshot.agentById.get(agentId);
  const key = snapshot.keyById.get(keyId);
  const isActive = key !== undefined && keyStatus(key, clock.now()) === "active" && agent?.agent.status === "active";
  return isActive ? { snapshot, agent, ip, client } : undefined;
}

/** The agent as it is now. Throws `RpcRefusal` where it lost its right since the message came in, or nobody can tell. */
export function askerOf(connection: Connection, context: GatewayContext): SkillAsker {
  if (context.liveView.current.isBehind) throw RpcRefusal.unavailable(BEHIND.message);
  const asker = findAsker(connection, context);
  if (asker !== undefined) return asker;
  throw new RpcRefusal({
    status: 200,
    code: RPC_CODES.denied,
    message: "this agent may not use the gateway any more; ask an administrator of this gateway",
  });
}
