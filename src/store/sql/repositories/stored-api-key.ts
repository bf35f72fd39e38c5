import { z } from "zod";
import { type ApiKey, KEY_KINDS } from "../../../domain/api-key.ts";
import { NEVER_USED } from "../../../domain/key-use.ts";
import { ROLES } from "../../../domain/role.ts";
import type { ApiKeyTable } from "../schema.ts";
import { jsonText, storedNames } from "./json-text.ts";

const storedApiKey = z.object({
  id: z.string(),
  name: z.string(),
  kind: z.enum(KEY_KINDS),
  origin: z.enum(["operation", "bootstrap", "first-start", "host"]),
  hash: z.string(),
  hint: z.string(),
  description: z.string().nullable(),
  role: z.enum(ROLES).nullable(),
  agentId: z.string().nullable(),
  memberId: z.string().nullable(),
  allowedIps: storedNames,
  createdBy: jsonText(z.object({ type: z.string(), id: z.string(), name: z.string() })),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
  lastUsedAt: z.number().nullable(),
  lastUsedIp: z.string().nullable(),
  useCount: z.number(),
  useHistory: jsonText(
    z.object({
      networks: z.array(z.object({ network: z.string(), at: z.number() })),
      newNetworkAt: z.number().nullable(),
      deniedBurstAt: z.number().nullable(),
    }),
  ).nullable(),
  version: z.number(),
});

/** Throws for a row that no version of this program can have written. */
export function toApiKey(row: ApiKeyTable): ApiKey {
  const revoked = row.revokedAt === null ? null : { at: row.revokedAt, reason: row.revokedReason };
  const { useHistory, ...key } = storedApiKey.parse(row);
  return { ...key, useHistory: useHistory ?? NEVER_USED.useHistory, revoked };
}

export function toApiKeyRow({ revoked, ...key }: ApiKey): ApiKeyTable {
  return {
    ...key,
    allowedIps: JSON.stringify(key.allowedIps),
    createdBy: JSON.stringify(key.createdBy),
    useHistory: JSON.stringify(key.useHistory),
    revokedAt: revoked?.at ?? null,
    revokedReason: revoked?.reason ?? null,
  };
}
