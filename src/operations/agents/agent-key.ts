import type { Agent } from "../../domain/agent.ts";
import { NEVER_USED } from "../../domain/key-use.ts";
import type { HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";

/** A new gateway key for an agent. Gives the key itself: shown once, in the answer of the call that made it. */
export async function issueAgentKey(
  agent: Agent,
  { repositories, services, caller, now }: HandleContext,
): Promise<string> {
  const { secret, hash, hint } = services.keys.create("agent");
  const id = services.newId();
  await repositories.apiKeys.insert({
    id,
    // The random tail of a UUIDv7 keeps the name unique; people find the key by its agent.
    name: `agent-${id.slice(-12)}`,
    kind: "agent",
    origin: "operation",
    hash,
    hint,
    description: null,
    role: null,
    agentId: agent.id,
    memberId: null,
    allowedIps: [],
    createdBy: createdBy(caller),
    createdAt: now,
    expiresAt: null,
    revoked: null,
    ...NEVER_USED,
    version: 1,
  });
  return secret;
}

/** Cuts off every key of an agent. Gives how many there were. */
export async function revokeAgentKeys(
  agentId: string,
  reason: string,
  { repositories, now }: Pick<HandleContext, "repositories" | "now">,
): Promise<number> {
  const keys = await repositories.apiKeys.activeOfAgent(agentId, now);
  for (const key of keys) {
    await repositories.apiKeys.save({ ...key, revoked: { at: now, reason }, version: key.version + 1 });
  }
  return keys.length;
}
