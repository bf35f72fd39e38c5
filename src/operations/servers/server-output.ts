import { isDeepStrictEqual } from "node:util";
import { z } from "zod";
import { CREDENTIAL_TYPES, HEALTH_STATES, SERVER_STATUSES, SEVERITIES, TRANSPORTS } from "../../domain/server.ts";
import type { Server, ServerHealth, ServerTool, ToolDefinition } from "../../domain/server.ts";
import type { Policy } from "../../domain/policy.ts";
import { parseServerSecrets } from "../../domain/server-secrets.ts";
import { toolRisk } from "../../domain/tool-definition.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { HandleContext } from "../context.ts";
import { groupNames } from "../groups.ts";
import { AppliedPolicy, policiesOfServer, withChanges } from "../policies/policies-of.ts";
import { maskArguments } from "./mask-argument.ts";

const Named = z.object({ id: z.string(), name: z.string() });

const Health = z.object({
  state: z.enum(HEALTH_STATES),
  checkedAt: z.string().nullable(),
  latencyMs: z.number().nullable(),
  error: z.string().optional(),
});

const ToolSummary = z.object({
  name: z.string(),
  title: z.string().optional(),
  description: z.string().optional(),
  digest: z.string(),
  risk: z.enum(SEVERITIES),
  state: z.enum(["approved", "changed", "unreviewed"]),
  pendingChange: z
    .object({
      digest: z.string(),
      seenAt: z.string(),
      diff: z.array(z.object({ field: z.string(), before: z.unknown(), after: z.unknown() })),
    })
    .optional(),
});

/** The row of a list. */
export const ServerSummary = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  transport: z.enum(TRANSPORTS),
  url: z.string().optional(),
  command: z.string().optional(),
  status: z.enum(SERVER_STATUSES),
  health: Health,
  security: z.object({
    risk: z.enum(SEVERITIES),
    openFindings: z.int().describe("Open findings of sweep scans"),
    policyCount: z.int().describe("Policies that may concern it"),
  }),
  groups: z.array(z.string()),
  toolCount: z.int(),
  agentCount: z.int(),
  gatewayUrl: z.string(),
  version: z.int(),
  createdAt: z.string(),
  updatedAt: z.string(),
});

/** A server with everything that may be shown of it. */
export const ServerOutput = ServerSummary.extend({
  args: z.array(z.string()).optional().describe("Arguments of the stdio command, secrets masked"),
  cwd: z.string().optional(),
  headers: z.record(z.string(), z.string()).describe("Fixed request headers; values are never shown"),
  env: z.record(z.string(), z.string()).describe("Environment of the stdio command; values are never shown"),
  credential: z.object({
    type: z.enum(CREDENTIAL_TYPES),
    rotatedAt: z.string().optional(),
    hint: z.string().optional().describe("Last four characters"),
    names: z.array(z.string()).optional(),
    tokenUrl: z.string().optional(),
  }),
  owner: Named.nullable(),
  allowPrivateNetwork: z.boolean(),
  shareable: z.boolean(),
  protocolVersion: z.string().nullable(),
  serverInfo: z.object({ name: z.string(), version: z.string() }).nullable(),
  tools: z.array(ToolSummary),
  agents: z.array(Named),
  skills: z.array(Named).describe("Skills that need it"),
  policies: z.array(AppliedPolicy).describe("Policies in force that may concern it"),
  healthHistory: z.array(Health),
});

const HEALTH_HISTORY_SHOWN = 20;
const AGENTS_SHOWN = 200;
const SKILLS_SHOWN = 200;
const HIDDEN_VALUE = "********";

/** What belongs to a server in other tables. */
export interface ServerFacts {
  readonly toolCount: number;
  readonly agentCount: number;
  readonly policyCount: number;
  readonly openFindings: number;
  /** Names of groups by id. */
  readonly groupNames: ReadonlyMap<string, string>;
  readonly publicUrl: string;
}

export function summarizeServer(server: Server, facts: ServerFacts): z.output<typeof ServerSummary> {
  return {
    id: server.id,
    name: server.name,
    description: server.description,
    transport: server.transport,
    ...(server.url === null ? {} : { url: server.url }),
    ...(server.command === null ? {} : { command: server.command }),
    status: server.status,
    health: showHealth(server.health),
    security: { risk: server.risk, openFindings: facts.openFindings, policyCount: facts.policyCount },
    groups: server.groups.map((id) => facts.groupNames.get(id) ?? id),
    toolCount: facts.toolCount,
    agentCount: facts.agentCount,
    gatewayUrl: `${facts.publicUrl}/gateway/${server.name}/mcp`,
    version: server.version,
    createdAt: toRfc3339(server.createdAt),
    updatedAt: toRfc3339(server.updatedAt),
  };
}

/** The whole server as it may be shown, read in the caller's transaction. */
export async function showServer(
  server: Server,
  { repositories, services, now }: Pick<HandleContext, "repositories" | "services" | "now">,
  changedPolicies: readonly Policy[] = [],
): Promise<z.output<typeof ServerOutput>> {
  const tools = await repositories.servers.tools(server.id);
  const agents = await repositories.agents.list({ serverId: server.id }, { limit: AGENTS_SHOWN });
  const skills = await repositories.skills.list({ serverId: server.id }, { limit: SKILLS_SHOWN });
  const owner = server.owner === null ? undefined : await repositories.members.find(server.owner);
  const history = await repositories.servers.healthHistory(server.id, HEALTH_HISTORY_SHOWN);
  const policies = policiesOfServer(server, withChanges(services.snapshot().policies, changedPolicies));
  const facts: ServerFacts = {
    toolCount: tools.length,
    agentCount: agents.total,
    policyCount: policies.length,
    openFindings: (await repositories.findings.countByServer([server.id], now)).get(server.id) ?? 0,
    groupNames: await groupNames(repositories, server.groups),
    publicUrl: services.publicUrl,
  };
  return {
    ...summarizeServer(server, facts),
    ...showConfiguration(server, services),
    owner: owner === undefined ? null : { id: owner.id, name: owner.name },
    allowPrivateNetwork: server.allowPrivateNetwork,
    shareable: server.shareable,
    protocolVersion: server.protocolVersion,
    serverInfo: server.serverInfo,
    tools: tools.map(showTool),
    agents: agents.items.map(({ id, name }) => ({ id, name })),
    skills: skills.items.map(({ id, name }) => ({ id, name })),
    policies: [...policies],
    healthHistory: history.map(showHealth),
  };
}

export function showHealth({ state, checkedAt, latencyMs, error }: ServerHealth): z.output<typeof Health> {
  return {
    state,
    checkedAt: checkedAt === null ? null : toRfc3339(checkedAt),
    latencyMs,
    ...(error === null ? {} : { error }),
  };
}

function showConfiguration(server: Server, { vault }: HandleContext["services"]) {
  const { type, rotatedAt, hint, names, tokenUrl } = server.credential;
  const context = { table: "servers", id: server.id, version: server.secretsVersion };
  const { args } = parseServerSecrets(vault.open(server.sealedSecrets, context));
  return {
    ...(server.command === null ? {} : { args: maskArguments(args) }),
    ...(server.cwd === null ? {} : { cwd: server.cwd }),
    headers: hideValues(server.headerNames),
    env: hideValues(server.envNames),
    credential: {
      type,
      ...(rotatedAt === null ? {} : { rotatedAt: toRfc3339(rotatedAt) }),
      ...(hint === null ? {} : { hint }),
      ...(names.length === 0 ? {} : { names: [...names] }),
      ...(tokenUrl === null ? {} : { tokenUrl }),
    },
  };
}

function hideValues(names: readonly string[]): Record<string, string> {
  return Object.fromEntries(names.map((name) => [name, HIDDEN_VALUE]));
}

function showTool(tool: ServerTool): z.output<typeof ToolSummary> {
  const { name, digest, definition, state, pending } = tool;
  return {
    name,
    ...(definition.title === undefined ? {} : { title: definition.title }),
    ...(definition.description === undefined ? {} : { description: definition.description }),
    digest,
    risk: toolRisk(definition),
    state,
    ...(pending === null ? {} : { pendingChange: showPendingChange(definition, pending) }),
  };
}

function showPendingChange(accepted: ToolDefinition, pending: NonNullable<ServerTool["pending"]>) {
  const before = new Map<string, unknown>(Object.entries(accepted));
  const after = new Map<string, unknown>(Object.entries(pending.definition));
  const fields = [...new Set([...before.keys(), ...after.keys()])];
  const changed = fields.filter((field) => !isDeepStrictEqual(before.get(field), after.get(field)));
  return {
    digest: pending.digest,
    seenAt: toRfc3339(pending.seenAt),
    diff: changed.map((field) => ({ field, before: before.get(field) ?? null, after: after.get(field) ?? null })),
  };
}
