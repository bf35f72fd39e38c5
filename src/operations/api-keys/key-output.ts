import { z } from "zod";
import { KEY_KINDS, keyStatus, type ApiKey } from "../../domain/api-key.ts";
import { withUse } from "../../domain/key-use.ts";
import { ROLES } from "../../domain/role.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { flagsOf, KEY_FLAGS } from "./key-flags.ts";
import type { HandleContext } from "../context.ts";

const Named = z.object({ id: z.string(), name: z.string() });

export const ApiKeyOutput = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(KEY_KINDS),
  hint: z.string(),
  description: z.string().nullable(),
  role: z.enum(ROLES).nullable(),
  agent: Named.optional(),
  member: Named.optional(),
  allowedIps: z.array(z.string()),
  createdBy: z.object({ type: z.string(), id: z.string(), name: z.string() }),
  createdAt: z.string(),
  lastUsedAt: z.string().nullable(),
  lastUsedIp: z.string().nullable(),
  useCount: z.int(),
  expiresAt: z.string().nullable(),
  status: z.enum(["active", "expired", "revoked"]),
  revokedAt: z.string().optional(),
  revokedReason: z.string().optional(),
  flags: z.array(z.enum(KEY_FLAGS)),
  version: z.int(),
});

/** A key as it may be shown: never its hash, never itself. */
export async function showApiKey(
  stored: ApiKey,
  { repositories, services, now }: Pick<HandleContext, "repositories" | "services" | "now">,
): Promise<z.output<typeof ApiKeyOutput>> {
  const key = withPendingUse(stored, services);
  const agent = key.agentId === null ? undefined : await repositories.agents.find(key.agentId);
  const member = key.memberId === null ? undefined : await repositories.members.find(key.memberId);
  return {
    id: key.id,
    name: key.name,
    kind: key.kind,
    hint: key.hint,
    description: key.description,
    role: key.role,
    ...(key.agentId === null ? {} : { agent: { id: key.agentId, name: agent?.name ?? key.agentId } }),
    ...(member === undefined ? {} : { member: { id: member.id, name: member.name } }),
    allowedIps: [...key.allowedIps],
    createdBy: { type: key.createdBy.type, id: key.createdBy.id, name: key.createdBy.name },
    createdAt: toRfc3339(key.createdAt),
    lastUsedAt: key.lastUsedAt === null ? null : toRfc3339(key.lastUsedAt),
    lastUsedIp: key.lastUsedIp,
    useCount: key.useCount,
    expiresAt: key.expiresAt === null ? null : toRfc3339(key.expiresAt),
    ...showStatus(key, now),
    flags: keyStatus(key, now) === "active" ? flagsOf(key, now) : [],
    version: key.version,
  };
}

/** The uses of the last minute are in memory only: a row is written at most once a minute. */
function withPendingUse(key: ApiKey, services: HandleContext["services"]): ApiKey {
  const use = services.pendingKeyUse(key.id);
  return use === undefined ? key : { ...key, ...withUse(key, use) };
}

function showStatus(key: ApiKey, now: number) {
  const status = keyStatus(key, now);
  if (key.revoked === null) return { status };
  const { at, reason } = key.revoked;
  return { status, revokedAt: toRfc3339(at), ...(reason === null ? {} : { revokedReason: reason }) };
}
