import { z } from "zod";
import { assertServerName } from "../../domain/names.ts";
import { isGuardian } from "../../domain/role.ts";
import type { Server } from "../../domain/server.ts";
import { mergeTools, wholeListing } from "../../domain/tool-definition.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext, PrepareContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { resolveGroups } from "../groups.ts";
import { attachedPolicyFields, attachPolicies } from "../policies/attached-policies.ts";
import { refuseScopedChange, requireGuardian } from "../policies/scoped-change.ts";
import type { Discovery, ProbeTarget } from "../services.ts";
import {
  DiscoveryOutput,
  notContacted,
  NOTHING_OBSERVED,
  showDiscovery,
  toHealth,
  toObserved,
} from "./discovery-output.ts";
import { maskArguments } from "./mask-argument.ts";
import { checkAddresses, createEndpoint, summarizeCredential } from "./server-endpoint.ts";
import { serverFields } from "./server-fields.ts";
import { ServerOutput, showServer } from "./server-output.ts";
import { checkServerRights, checkStdioAllowed } from "./server-rights.ts";

const DISCOVERY_TIMEOUT_MS = 15_000;

const Input = z.object({
  name: serverFields.name,
  description: serverFields.description.optional(),
  transport: serverFields.transport,
  url: serverFields.url.optional(),
  headers: serverFields.headers.optional(),
  command: serverFields.command.optional(),
  args: serverFields.args.optional(),
  env: serverFields.env.optional(),
  cwd: serverFields.cwd.optional(),
  credential: serverFields.credential.optional(),
  groups: serverFields.groups.optional(),
  owner: serverFields.owner.optional(),
  policies: attachedPolicyFields.policies.optional(),
  status: serverFields.status.optional(),
  allowPrivateNetwork: serverFields.allowPrivateNetwork.optional(),
  shareable: serverFields.shareable.optional(),
  confirm: z.boolean().optional().describe("Start a `stdio` command now, to see what it offers"),
});

type Input = z.output<typeof Input>;

/** Registers an upstream server and looks at what it offers. */
export const createMcpServer = defineOperation({
  name: "create_mcp_server",
  title: "Register MCP server",
  description:
    "Registers an MCP server so that agents can be assigned to it and reach it through the gateway. The endpoint is contacted and its tools, resources and prompts are stored; an unreachable one is registered all the same and `discovery.state` says so. A stdio command is started only with `confirm: true`. Returns the server and the discovery.",
  route: "POST /servers",
  command: "servers create",
  roles: ["owner", "admin", "operator"],
  effect: "write",
  isCreation: true,
  action: "server.create",
  input: Input,
  output: z.object({ server: ServerOutput, discovery: DiscoveryOutput }),
  async prepare(input, context) {
    assertServerName(input.name);
    const endpoint = createEndpoint(input);
    checkServerRights(input, context.caller.role);
    if (input.policies !== undefined) requireGuardian(context.caller.role, "policies");
    checkStdioAllowed(input.transport, context.services);
    await checkAddresses(endpoint, context.services.probe);
    await refuseTakenName(input.name, context);
    const discovery = await discover(input, endpoint, context);
    return (handleContext) => store(input, { endpoint, discovery }, handleContext);
  },
  event: ({ server, discovery }) => ({
    resource: { type: "server", id: server.id, name: server.name },
    details: {
      transport: server.transport,
      status: server.status,
      discovery: discovery.state,
      tools: server.toolCount,
    },
  }),
  summarize: ({ server, discovery }) =>
    `Server \`${server.name}\` (${server.id}) is registered; discovery: ${discovery.state}, ${discovery.tools.length} tools, ${discovery.resources.length} resources, ${discovery.prompts.length} prompts.`,
});

/** Asked before the endpoint is contacted; the unique index asks again in the transaction. */
async function refuseTakenName(name: string, { read }: PrepareContext): Promise<void> {
  const taken = await read((repositories) => repositories.servers.find(name));
  if (taken !== undefined)
    throw new AppError("conflict", `server \`${name}\` exists already; choose another name`, {
      details: { field: "name" },
    });
}

async function discover(input: Input, endpoint: ProbeTarget, context: PrepareContext): Promise<Discovery> {
  if (context.isDryRun) return notContacted("a dry run contacts nobody");
  if (endpoint.transport === "stdio" && !(await mayStart(input, endpoint, context))) {
    return notContacted(`not started without \`confirm: true\`; it would run ${toCommandLine(endpoint)}`);
  }
  const options = { timeoutMs: DISCOVERY_TIMEOUT_MS, signal: context.signal, name: input.name };
  return context.services.probe.discover(endpoint, options);
}

async function mayStart(input: Input, endpoint: ProbeTarget, { interaction }: PrepareContext): Promise<boolean> {
  if (input.confirm !== undefined) return input.confirm;
  const message = `Start the command of server \`${input.name}\` to see what it offers?`;
  return (await interaction?.confirm({ message, impact: { command: toCommandLine(endpoint) } })) ?? false;
}

function toCommandLine({ command, args }: ProbeTarget): string {
  return JSON.stringify([command, ...maskArguments(args)]);
}

async function store(
  input: Input,
  { endpoint, discovery }: { endpoint: ProbeTarget; discovery: Discovery },
  context: HandleContext,
) {
  const { repositories, now } = context;
  const server = { ...(await toServer(input, endpoint, context)), ...toObserved(discovery) };
  await refuseScopedChange(server.id, { before: undefined, after: server }, context);
  await repositories.servers.insert(server);
  const isAccepted = isGuardian(context.caller.role);
  await repositories.servers.saveTools(
    server.id,
    mergeTools([], wholeListing(discovery.tools), { serverId: server.id, seenAt: now, isAccepted }),
  );
  const health = toHealth(discovery, now);
  if (health !== undefined) await repositories.servers.saveHealth(server.id, health);
  if (discovery.peer !== undefined) await repositories.servers.savePeer(server.id, discovery.peer);
  const attached = { kind: "server", id: server.id, name: server.name } as const;
  const { changed } = await attachPolicies(attached, { addPolicies: input.policies }, context);
  const stored = await repositories.servers.get(server.id);
  return { server: await showServer(stored, context, changed), discovery: showDiscovery(discovery) };
}

async function toServer(input: Input, endpoint: ProbeTarget, context: HandleContext): Promise<Server> {
  const { services, repositories, now } = context;
  const id = services.newId();
  const { credential, headers, env, args, transport, url, command, cwd, allowPrivateNetwork } = endpoint;
  const owner = input.owner === undefined ? null : (await repositories.members.get(input.owner)).id;
  return {
    id,
    name: input.name,
    description: input.description ?? null,
    transport,
    url,
    command,
    cwd,
    headerNames: Object.keys(headers),
    envNames: Object.keys(env),
    sealedSecrets: services.vault.seal({ credential, headers, env, args }, { table: "servers", id, version: 1 }),
    secretsVersion: 1,
    credential: summarizeCredential(credential, now),
    groups: await resolveGroups(input.groups ?? [], context),
    owner,
    status: input.status ?? "active",
    allowPrivateNetwork,
    shareable: input.shareable ?? false,
    ...NOTHING_OBSERVED,
    health: { state: "unknown", checkedAt: null, latencyMs: null, error: null },
    risk: "info",
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
}
