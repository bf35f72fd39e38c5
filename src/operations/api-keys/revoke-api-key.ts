import { z } from "zod";
import type { ApiKey } from "../../domain/api-key.ts";
import { GUARDIANS, isRoleWithin } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField, text } from "../fields.ts";
import { requireOwnerKey } from "../require-owner-key.ts";
import { requireVersion } from "../require-version.ts";
import { ApiKeyOutput, showApiKey } from "./key-output.ts";

/** Cuts off an API key at once. Irreversible; revoking twice is not an error. */
export const revokeApiKey = defineOperation({
  name: "revoke_api_key",
  title: "Revoke API key",
  description:
    "Cuts off a key at once, open streams included. Irreversible. Needs `confirm: true`; without it, shows the impact. Revoking twice is not an error.",
  route: "POST /api-keys/{id}/revoke",
  command: "api-keys revoke",
  roles: GUARDIANS,
  effect: "destroy",
  action: "key.revoke",
  input: z.object({
    id: RefField.describe("Key, by id or name, as list_api_keys shows it"),
    reason: text(500).optional().describe("Why; kept with the key and in the audit log"),
    expectedVersion: ExpectedVersionField,
  }),
  output: z.object({
    apiKey: ApiKeyOutput,
    impact: z.object({
      liveSessions: z.int(),
      wasActive: z.boolean(),
      agent: z.string().optional(),
      device: z
        .string()
        .optional()
        .describe("Device that ends with its key: what only it showed is resolved by the next scan"),
    }),
  }),
  async handle({ id, reason, expectedVersion }, context) {
    const { repositories, services, now } = context;
    const key = await repositories.apiKeys.get(id);
    refuseWiderKey(key, context);
    // What is revoked cannot change any more, so that revoking it again is no error on any version.
    if (key.revoked === null) requireVersion(key, expectedVersion);
    const revoked = key.revoked === null ? await save(key, { at: now, reason: reason ?? null }, context) : key;
    const apiKey = await showApiKey(revoked, context);
    const device = key.kind === "device" ? await repositories.devices.findByKey(key.id) : undefined;
    const impact = {
      liveSessions: services.sessions.countByKey(key.id),
      wasActive: key.revoked === null,
      ...(apiKey.agent === undefined ? {} : { agent: apiKey.agent.name }),
      ...(device === undefined ? {} : { device: device.name }),
    };
    return { apiKey, impact };
  },
  event: ({ apiKey, impact }, { reason }) => ({
    resource: { type: "apiKey", id: apiKey.id, name: apiKey.name },
    details: {
      kind: apiKey.kind,
      wasActive: impact.wasActive,
      liveSessions: impact.liveSessions,
      ...(reason === undefined ? {} : { reason }),
      ...(apiKey.agent === undefined ? {} : { agent: apiKey.agent }),
    },
  }),
  summarize: ({ apiKey, impact }) =>
    `Key \`${apiKey.name}\` (${apiKey.id}): revocation ${impact.wasActive ? `ends ${impact.liveSessions} live sessions` : "was done before"}.`,
});

/** Nobody revokes a key whose role is beyond their own. */
function refuseWiderKey(key: ApiKey, { caller }: HandleContext): void {
  if (key.role === null || isRoleWithin(key.role, caller.role)) return;
  throw new AppError(
    "forbidden",
    `a caller with role \`${caller.role}\` does not revoke a key with role \`${key.role}\``,
  );
}

async function save(key: ApiKey, revoked: NonNullable<ApiKey["revoked"]>, context: HandleContext): Promise<ApiKey> {
  const changed = { ...key, revoked, version: key.version + 1 };
  await context.repositories.apiKeys.save(changed);
  if (key.role === "owner") await requireOwnerKey(context);
  return changed;
}
