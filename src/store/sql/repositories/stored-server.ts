import { z } from "zod";
import {
  CREDENTIAL_TYPES,
  HEALTH_STATES,
  SERVER_STATUSES,
  SEVERITIES,
  type Server,
  type ServerHealth,
  type ServerTool,
  TOOL_STATES,
  TRANSPORTS,
} from "../../../domain/server.ts";
import type { ServerTable, ServerToolTable } from "../schema.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";
import { jsonText, storedFlag, storedNames, toJsonOrNull, toStoredFlag } from "./json-text.ts";

const credential = z.object({
  type: z.enum(CREDENTIAL_TYPES),
  rotatedAt: z.number().nullable(),
  hint: z.string().nullable(),
  names: z.array(z.string()),
  tokenUrl: z.string().nullable(),
});

const storedServer = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  transport: z.enum(TRANSPORTS),
  url: z.string().nullable(),
  command: z.string().nullable(),
  cwd: z.string().nullable(),
  headerNames: storedNames,
  envNames: storedNames,
  sealedSecrets: z.string(),
  secretsVersion: z.number(),
  credential: jsonText(credential),
  groups: storedNames,
  owner: z.string().nullable(),
  status: z.enum(SERVER_STATUSES),
  allowPrivateNetwork: storedFlag,
  shareable: storedFlag,
  protocolVersion: z.string().nullable(),
  serverInfo: jsonText(z.object({ name: z.string(), version: z.string() })).nullable(),
  risk: z.enum(SEVERITIES),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export const storedHealth = z.object({
  state: z.enum(HEALTH_STATES),
  checkedAt: z.number().nullable(),
  latencyMs: z.number().nullable(),
  error: storedForeignText.nullable(),
});

export const storedPeer = z.object({
  addresses: z.array(z.string()),
  certificate: z
    .object({
      fingerprint: z.string(),
      issuer: z.string(),
      isSelfSigned: z.boolean(),
      validFrom: z.number(),
      validTo: z.number(),
    })
    .nullable(),
});

// Loose, as it was listed: what a review shows must be all that the digest covers.
const definition = z.looseObject({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  inputSchema: z.unknown().optional(),
  outputSchema: z.unknown().optional(),
  annotations: z.record(z.string(), z.unknown()).optional(),
});

const storedTool = z.object({
  serverId: z.string(),
  name: storedForeignText,
  digest: z.string(),
  definition: jsonText(definition),
  state: z.enum(TOOL_STATES),
  pending: jsonText(z.object({ digest: z.string(), definition, seenAt: z.number() })).nullable(),
  firstSeenAt: z.number(),
  lastSeenAt: z.number(),
  absentSince: z.number().nullable(),
});

/** Throws for a row that no version of this program can have written. */
export function toServer(row: ServerTable): Server {
  const health = storedHealth.parse({
    state: row.healthState,
    checkedAt: row.healthCheckedAt,
    latencyMs: row.healthLatencyMs,
    error: row.healthError,
  });
  return { ...storedServer.parse(row), health };
}

export function toServerRow({ health, ...server }: Server): ServerTable {
  return {
    ...server,
    headerNames: JSON.stringify(server.headerNames),
    envNames: JSON.stringify(server.envNames),
    credential: JSON.stringify(server.credential),
    groups: JSON.stringify(server.groups),
    allowPrivateNetwork: toStoredFlag(server.allowPrivateNetwork),
    shareable: toStoredFlag(server.shareable),
    serverInfo: toJsonOrNull(server.serverInfo),
    healthState: health.state,
    healthCheckedAt: health.checkedAt,
    healthLatencyMs: health.latencyMs,
    healthError: toStoredHealthError(health),
  };
}

/** The upstream chose the words. */
export function toStoredHealthError({ error }: ServerHealth): string | null {
  return error === null ? null : toStoredText(error);
}

export function toServerTool(row: ServerToolTable): ServerTool {
  return storedTool.parse(row);
}

export function toServerToolRow(tool: ServerTool): ServerToolTable {
  return {
    ...tool,
    name: toStoredText(tool.name),
    definition: JSON.stringify(tool.definition),
    pending: toJsonOrNull(tool.pending),
  };
}
