import { z } from "zod";
import { assertServerName } from "../../domain/names.ts";
import type { Server, ServerTool } from "../../domain/server.ts";
import { mergeTools, wholeListing } from "../../domain/tool-definition.ts";
import { isGuardian, type Role } from "../../domain/role.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import type { HandleContext, PrepareContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { clearable, ExpectedVersionField, RefField } from "../fields.ts";
import { resolveGroups } from "../groups.ts";
import { attachedPolicyFields, attachPolicies, policiesDisabledField, toNamed } from "../policies/attached-policies.ts";
import { refuseScopedChange, requireGuardian } from "../policies/scoped-change.ts";
import { requireVersion } from "../require-version.ts";
import type { Discovery, ProbeTarget } from "../services.ts";
import { approveToolChanges, ToolApprovals } from "./approve-tool-changes.ts";
import {
  DiscoveryOutput,
  NOTHING_OBSERVED,
  notContacted,
  showDiscovery,
  toHealth,
  toObserved,
} from "./discovery-output.ts";
import {
  changeEndpoint,
  checkAddresses,
  ENDPOINT_FIELDS,
  openEndpoint,
  summarizeCredential,
} from "./server-endpoint.ts";
import { serverFields } from "./server-fields.ts";
import { ServerOutput, showServer } from "./server-output.ts";
import { checkServerRights, checkStartRight, checkStdioAllowed } from "./server-rights.ts";

const CONTACT_TIMEOUT_MS = 15_000;

const Input = z.object({
  id: RefField.describe("Server, by id or name"),
  name: serverFields.name.optional(),
  description: serverFields.description.nullable().optional(),
  transport: serverFields.transport.optional(),
  url: serverFields.url.optional(),
  headers: serverFields.headers.nullable().optional(),
  command: serverFields.command.optional(),
  args: serverFields.args.nullable().optional(),
  env: serverFields.env.nullable().optional(),
  cwd: serverFields.cwd.nullable().optional(),
  credential: clearable(serverFields.credential, { type: "none" }),
  groups: clearable(serverFields.groups, []),
  owner: serverFields.owner.nullable().optional(),
  policies: clearable(attachedPolicyFields.policies, []),
  addPolicies: attachedPolicyFields.addPolicies.optional(),
  removePolicies: attachedPolicyFields.removePolicies.optional(),
  status: serverFields.status.optional(),
  allowPrivateNetwork: clearable(serverFields.allowPrivateNetwork, false),
  shareable: clearable(serverFields.shareable, false),
  approveToolChanges: ToolApprovals.optional(),
  force: z.boolean().optional().describe("Store a new credential without trying it on the server"),
  expectedVersion: ExpectedVersionField,
  confirm: z
    .boolean()
    .optional()
    .describe("Start a changed or never started `stdio` command now, to try a new credential and see what it offers"),
});

type Input = z.output<typeof Input>;

const Rotation = z.object({
  verified: z.union([z.literal(true), z.literal("not_challenged"), z.literal("skipped")]),
  rotatedAt: z.string(),
});

/** What was found out before the transaction, and on which version of the server. */
interface Contact {
  readonly seen: Server;
  readonly endpoint: ProbeTarget;
  readonly isEndpointChanged: boolean;
  /** Nobody has seen yet what answers there. */
  readonly isNew: boolean;
  readonly discovery: Discovery | undefined;
  readonly verified: z.output<typeof Rotation>["verified"] | undefined;
}

/** Changes a server; a new credential is tried before the old one goes. */
export const updateMcpServer = defineOperation({
  name: "update_mcp_server",
  title: "Update MCP server",
  description:
    "Changes a server: configuration, credential, groups, owner, status (`disabled`, `quarantined`, `active`), or accepts changed tools. A new credential is tried on the server first (a `stdio` one only with `confirm`, else `rotation.verified` is `skipped`); if that fails the old one stays. Returns the server and, for a new credential, the rotation.",
  route: "PATCH /servers/{id}",
  command: "servers update",
  roles: ["owner", "admin", "security", "operator"],
  effect: "write",
  action: "server.update",
  input: Input,
  output: z.object({
    server: ServerOutput,
    rotation: Rotation.optional(),
    discovery: DiscoveryOutput.optional(),
    policiesDisabled: policiesDisabledField,
  }),
  async prepare(input, context) {
    const contact = await contactEndpoint(input, context);
    return (handleContext) => store(input, contact, handleContext);
  },
  event: ({ server, rotation, discovery }, input) => ({
    resource: { type: "server", id: server.id, name: server.name },
    details: {
      changed: Object.keys(input).filter((field) => !NOT_CHANGES.has(field)),
      ...(input.status === undefined ? {} : { status: server.status }),
      ...(rotation === undefined ? {} : { credentialVerified: rotation.verified }),
      ...(discovery === undefined ? {} : { discovery: discovery.state }),
    },
  }),
  summarize: ({ server, rotation }) =>
    `Server \`${server.name}\` (${server.id}) is at version ${server.version}, ${server.status}${rotation === undefined ? "" : `; credential verified: ${rotation.verified}`}.`,
});

const NOT_CHANGES: ReadonlySet<string> = new Set(["id", "force", "expectedVersion", "confirm"]);

const POLICY_FIELDS = ["policies", "addPolicies", "removePolicies"] as const;

async function contactEndpoint(input: Input, context: PrepareContext): Promise<Contact> {
  const { caller, services } = context;
  const seen = await context.read((repositories) => repositories.servers.get(input.id));
  requireVersion(seen, input.expectedVersion);
  checkRights(input, seen, caller.role);
  const current = openEndpoint(seen, services.vault);
  const isEndpointChanged = ENDPOINT_FIELDS.some((field) => input[field] !== undefined);
  const endpoint = isEndpointChanged ? changeEndpoint(current, input) : current;
  const isFirstStart = input.confirm === true && endpoint.transport === "stdio" && seen.protocolVersion === null;
  if (isFirstStart) checkStartRight(caller.role);
  if (isEndpointChanged || isFirstStart) checkStdioAllowed(endpoint.transport, services);
  if (isEndpointChanged) await checkAddresses(endpoint, services.probe);
  const tried = await verifyCredential(input, { endpoint, seen }, context);
  const discovery = isEndpointChanged || isFirstStart ? await discover(input, { endpoint, seen }, context) : undefined;
  const verified = tried ?? verifiedByStart(input, endpoint, discovery);
  const isNew = isFirstStart || endpoint.url !== seen.url;
  return { seen, endpoint, isEndpointChanged, isNew, discovery, verified };
}

function checkRights(input: Input, seen: Server, role: Role): void {
  if (input.name !== undefined) assertServerName(input.name);
  checkServerRights(input, role, seen);
  for (const field of POLICY_FIELDS) if (input[field] !== undefined) requireGuardian(role, field);
}

async function verifyCredential(
  input: Input,
  { endpoint, seen }: Pick<Contact, "endpoint" | "seen">,
  context: PrepareContext,
): Promise<Contact["verified"]> {
  if (context.isDryRun || input.credential === undefined || endpoint.transport === "stdio") return undefined;
  if (input.force === true) return "skipped";
  const options = { timeoutMs: CONTACT_TIMEOUT_MS, signal: context.signal, name: seen.name };
  const result = await context.services.probe.verifyCredential(endpoint, options);
  if (result.verified !== false) return result.verified;
  throw notAccepted(result.error);
}

/** A command is started once: what it does without its credential says nothing, and two of it at a time may be in each other's way. */
function verifiedByStart(
  input: Input,
  { transport }: ProbeTarget,
  discovery: Discovery | undefined,
): Contact["verified"] {
  if (transport !== "stdio" || input.credential === undefined || discovery === undefined) return undefined;
  if (input.force === true || discovery.state === "not_contacted") return "skipped";
  if (discovery.state === "ok") return "not_challenged";
  throw notAccepted(discovery.error ?? discovery.state);
}

function notAccepted(error: string): AppError {
  return new AppError(
    "upstream_error",
    "the server did not accept the new credential, the old one stays; correct it, or use `force: true` to store it unverified",
    { details: { error } },
  );
}

async function discover(
  input: Input,
  { endpoint, seen }: Pick<Contact, "endpoint" | "seen">,
  context: PrepareContext,
): Promise<Discovery | undefined> {
  if (context.isDryRun) return undefined;
  if (!mayContact(input, endpoint)) return notContacted("not started without `confirm: true`");
  const options = { timeoutMs: CONTACT_TIMEOUT_MS, signal: context.signal, name: seen.name };
  return context.services.probe.discover(endpoint, options);
}

/** A command is started only where the caller confirms it. */
function mayContact({ confirm }: Input, { transport }: ProbeTarget): boolean {
  return transport !== "stdio" || confirm === true;
}

async function store(input: Input, contact: Contact, context: HandleContext) {
  const { repositories, now } = context;
  const current = await repositories.servers.get(contact.seen.id);
  // The endpoint was checked against what was stored then: a change in between makes that check worthless.
  requireVersion(current, contact.seen.version);
  const changed = await applyChange(current, { input, contact }, context);
  await refuseScopedChange(current.id, { before: current, after: changed }, context);
  await repositories.servers.save(changed);
  const policies = await attachPolicies({ kind: "server", id: changed.id, name: changed.name }, input, context);
  await saveObserved(changed, { input, contact }, context);
  const stored = await repositories.servers.get(changed.id);
  return {
    server: await showServer(stored, context, policies.changed),
    ...(contact.verified === undefined ? {} : { rotation: { verified: contact.verified, rotatedAt: toRfc3339(now) } }),
    ...(contact.discovery === undefined ? {} : { discovery: showDiscovery(contact.discovery) }),
    ...(policies.disabled.length === 0 ? {} : { policiesDisabled: policies.disabled.map(toNamed) }),
  };
}

async function applyChange(
  current: Server,
  { input, contact }: { input: Input; contact: Contact },
  context: HandleContext,
): Promise<Server> {
  const { repositories, now } = context;
  const owner = typeof input.owner === "string" ? (await repositories.members.get(input.owner)).id : input.owner;
  return {
    ...current,
    ...(contact.isEndpointChanged ? sealEndpoint(current, { input, endpoint: contact.endpoint }, context) : {}),
    ...(contact.discovery === undefined ? {} : observedBy(contact.discovery)),
    name: input.name ?? current.name,
    description: input.description === undefined ? current.description : input.description,
    groups: input.groups === undefined ? current.groups : await resolveGroups(input.groups, context),
    owner: owner === undefined ? current.owner : owner,
    status: input.status ?? current.status,
    shareable: input.shareable ?? current.shareable,
    version: current.version + 1,
    updatedAt: now,
  };
}

/** A command that was not started is unknown, whatever was there before; an endpoint that does not answer is what it was. */
function observedBy(discovery: Discovery): Partial<Server> {
  if (discovery.state === "not_contacted") return NOTHING_OBSERVED;
  return discovery.state === "ok" ? toObserved(discovery) : {};
}

function sealEndpoint(
  current: Server,
  { input, endpoint }: { input: Input; endpoint: ProbeTarget },
  { services, now }: HandleContext,
): Partial<Server> {
  const { transport, url, command, cwd, allowPrivateNetwork, credential, headers, env, args } = endpoint;
  const secretsVersion = current.secretsVersion + 1;
  const context = { table: "servers", id: current.id, version: secretsVersion };
  return {
    transport,
    url,
    command,
    cwd,
    allowPrivateNetwork,
    headerNames: Object.keys(headers),
    envNames: Object.keys(env),
    sealedSecrets: services.vault.seal({ credential, headers, env, args }, context),
    secretsVersion,
    credential: input.credential === undefined ? current.credential : summarizeCredential(credential, now),
  };
}

async function saveObserved(
  server: Server,
  { input, contact }: { input: Input; contact: Contact },
  { repositories, caller, now }: HandleContext,
): Promise<void> {
  let tools: readonly ServerTool[] | undefined;
  if (contact.discovery?.state === "ok") {
    // Whoever points a server elsewhere, or starts it first, sees what it offers there; guardians accept it by doing so.
    const isAccepted = isGuardian(caller.role) && contact.isNew;
    const known = await repositories.servers.knownTools(server.id);
    const seen = { serverId: server.id, seenAt: now, isAccepted };
    tools = mergeTools(known, wholeListing(contact.discovery.tools), seen);
  }
  if (input.approveToolChanges !== undefined) {
    tools = approveToolChanges(tools ?? (await repositories.servers.knownTools(server.id)), input.approveToolChanges);
  }
  if (tools !== undefined) await repositories.servers.saveTools(server.id, tools);
  const health = contact.discovery === undefined ? undefined : toHealth(contact.discovery, now);
  if (health !== undefined) await repositories.servers.saveHealth(server.id, health);
  // Whoever names the address vouches for who answers there.
  const peer = input.url === undefined ? undefined : contact.discovery?.peer;
  if (peer !== undefined) await repositories.servers.savePeer(server.id, peer);
}
