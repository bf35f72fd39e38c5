import type { Agent } from "../../domain/agent.ts";
import { NEVER_USED } from "../../domain/key-use.ts";
import type { HandleContext } from "../context.ts";
import { createdBy } from "../created-by.ts";

/** A new gateway key for an agent. Gives the key itself: shown once, in the answer of the call that made it. */
export async function issueAgentKey(
  agent: Agent,
  { repositories, services, caller, now, record }: HandleContext,
): Promise<string> {
  const { secret, hash, hint } = services.keys.create("agent");
  const id = services.newId();
  // The random tail of a UUIDv7 keeps the name unique; people find the key by its agent.
  const name = `agent-${id.slice(-12)}`;
  await repositories.apiKeys.insert({
    id,
    name,
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
  const details = { kind: "agent", agent: { id: agent.id, name: agent.name } };
  await record("key.create", { resource: { type: "apiKey", id, name }, details });
  return secret;
}

/** Cuts off every key of an agent. Gives how many there were. */
export async function revokeAgentKeys(
  agent: Agent,
  reason: string,
  { repositories, now, record }: Pick<HandleContext, "repositories" | "now" | "record">,
): Promise<number> {
  const keys = await repositories.apiKeys.activeOfAgent(agent.id, now);
  for (const key of keys) {
    await repositories.apiKeys.save({ ...key, revoked: { at: now, reason }, version: key.version + 1 });
    const details = { kind: "agent", reason, agent: { id: agent.id, name: agent.name } };
    await record("key.revoke", { resource: { type: "apiKey", id: key.id, name: key.name }, details });
  }
  return keys.length;
}
