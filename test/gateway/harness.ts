import { NEVER_USED } from "../../src/domain/key-use.ts";
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type RequestListener, type Server as HttpServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createApprovalStore } from "../../src/app/approvals.ts";
import type { ApprovalClaim, HeldCall } from "../../src/gateway/approvals.ts";
import { AuthFailureAggregator } from "../../src/audit/auth-failures.ts";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import { openAuditLog } from "../../src/audit/durable-audit-log.ts";
import { createFileJournal } from "../../src/audit/file-journal.ts";
import { createSequencer } from "../../src/audit/sequencer.ts";
import { generateApiKey, hashApiKey } from "../../src/auth/api-key-format.ts";
import { toKeyHint } from "../../src/domain/api-key.ts";
import { createAuthenticator } from "../../src/auth/authenticate.ts";
import type { Agent, Assignment } from "../../src/domain/agent.ts";
import type { AuditEvent } from "../../src/domain/audit-event.ts";
import { DEFAULT_SETTINGS, type OrganizationSettings } from "../../src/domain/organization.ts";
import type { Server, ServerSecrets } from "../../src/domain/server.ts";
import { createCredentialSource } from "../../src/gateway/credentials.ts";
import type { GatewayOptions } from "../../src/gateway/context.ts";
import { createBridge, type Bridge, type BridgeOptions } from "../../src/gateway/bridge/bridge.ts";
import { createGateway, type Gateway } from "../../src/gateway/gateway.ts";
import { createUpstreams, reachServer } from "../../src/gateway/upstreams.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createEgress } from "../../src/lib/egress/egress.ts";
import { newId } from "../../src/lib/ids.ts";
import { createLiveView, type LiveView } from "../../src/snapshot/live-view.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store } from "../../src/store/ports.ts";
import { createMasterKey } from "../../src/vault/envelope.ts";
import { createVault, type Vault } from "../../src/vault/vault.ts";

const pepper = randomBytes(32);

/** A real gateway over a real store, audit log and live view, on a port of its own. */
export interface Harness {
  readonly url: string;
  readonly gateway: Gateway;
  readonly store: Store;
  readonly liveView: LiveView;
  readonly audit: AuditLog;
  readonly bridge: Bridge;
  readonly problems: string[];
  addServer(server: Partial<Server> & { name: string }, secrets?: Partial<ServerSecrets>): Promise<Server>;
  /** New values that may carry secrets, as an update of the server stores them. */
  setSecrets(server: Server, secrets: Partial<ServerSecrets>): Promise<void>;
  addAgent(name: string, assignments: readonly (Partial<Assignment> & { serverId: string })[]): Promise<AgentKey>;
  setSettings(settings: Partial<OrganizationSettings>): Promise<void>;
  events(action?: string): Promise<readonly AuditEvent[]>;
  close(): Promise<void>;
}

export interface AgentKey {
  readonly agent: Agent;
  readonly key: string;
  readonly keyId: string;
}

export type HarnessOptions = Partial<
  Pick<GatewayOptions, "limits" | "observer" | "metrics" | "maskSecrets" | "aggregate">
> & {
  readonly headersTimeoutMs?: number | undefined;
  readonly bodyIdleTimeoutMs?: number | undefined;
  readonly startChild?: BridgeOptions["startChild"] | undefined;
  readonly bridgeIdleMs?: number | undefined;
  readonly bridgeDrainMs?: number | undefined;
  readonly bridgedSessionsPerAgentMax?: number | undefined;
  /** Held calls are filed in the store and may be decided. */
  readonly hasApprovals?: boolean | undefined;
  /** Happens after the store answered a claim, before the gateway knows. */
  readonly onClaimed?: ((claim: ApprovalClaim) => Promise<void>) | undefined;
  /** Stands between the gateway and its log. */
  readonly wrapAudit?: ((audit: AuditLog) => AuditLog) | undefined;
};

export async function startHarness(options: HarnessOptions = {}): Promise<Harness> {
  const {
    headersTimeoutMs,
    bodyIdleTimeoutMs,
    wrapAudit,
    startChild,
    bridgeIdleMs,
    bridgeDrainMs,
    bridgedSessionsPerAgentMax,
    hasApprovals,
    onClaimed,
    ...passed
  } = options;
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-gateway-"));
  const store = await openStore({ dataDir, clock: systemClock });
  await insertOrganization(store);
  const vault = createVault(createMasterKey(randomBytes(32)));
  const problems: string[] = [];
  const liveView = await createLiveView({ store, vault, onProblem: (error) => problems.push(String(error)) });
  const filed = createApprovalStore({ store, clock: systemClock });
  const claim = async (call: HeldCall): Promise<ApprovalClaim> => {
    const claimed = await filed.claim(call);
    await onClaimed?.(claimed);
    return claimed;
  };
  const journal = createFileJournal({ directory: join(dataDir, "journal"), store });
  const log = await openAuditLog({ journal, sequencer: createSequencer({ store, journal }) });
  const audit = wrapAudit === undefined ? log : wrapAudit(log);
  const egress = createEgress({ ownListeners: () => [], headersTimeoutMs, bodyIdleTimeoutMs });
  const credentials = createCredentialSource({ egress, clock: systemClock });
  const authFailures = new AuthFailureAggregator({ clock: systemClock, emit: (event) => audit.post(event) });
  const bridge = createBridge({
    clock: systemClock,
    startChild: startChild ?? (() => Promise.reject(new Error("no children here"))),
    reach: (view) => reachServer(view, { egress, credentials }),
    onProblem: (message) => problems.push(message),
    idleMs: bridgeIdleMs,
    drainMs: bridgeDrainMs,
    sessionsPerAgentMax: bridgedSessionsPerAgentMax,
    limits: options.limits,
  });
  const gateway = createGateway({
    liveView,
    audit,
    authenticate: createAuthenticator(pepper),
    authFailures,
    upstreams: createUpstreams({
      egress,
      credentials,
      bridged: bridge,
    }),
    sealKey: randomBytes(32),
    clock: systemClock,
    clientIp: (request: IncomingMessage) => request.socket.remoteAddress,
    maskSecrets: (value) => value,
    onProblem: (message) => problems.push(message),
    ...(hasApprovals === true ? { approvals: { ...filed, claim } } : {}),
    ...passed,
  });
  const listener = await listen((request, response) => gateway.handle(request, response));
  return {
    url: listener.url,
    gateway,
    store,
    liveView,
    audit,
    bridge,
    problems,
    addServer: (server, secrets) => insertServer({ store, vault }, server, secrets ?? {}),
    setSecrets: (server, secrets) => saveSecrets({ store, vault }, server, secrets),
    addAgent: (name, assignments) => insertAgent(store, name, assignments),
    setSettings: (settings) => saveSettings(store, settings),
    async events(action) {
      await log.flush();
      const filter = action === undefined ? {} : { actions: [action] };
      const page = await store.read((tx) => tx.audit.list(filter, { limit: 200, order: "desc" }));
      return page.items.toReversed();
    },
    async close() {
      gateway.close();
      bridge.close();
      authFailures.close();
      await listener.close();
      await log.close();
      await egress.close();
      await store.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

export interface Listener {
  readonly url: string;
  readonly server: HttpServer;
  close(): Promise<void>;
}

export async function listen(handler: RequestListener, port = 0): Promise<Listener> {
  const server = createServer(handler);
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(port, "127.0.0.1", resolve);
  await promise;
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    url: `http://127.0.0.1:${address.port}`,
    server,
    close: async () => {
      const closed = Promise.withResolvers<void>();
      server.close(() => closed.resolve());
      server.closeAllConnections();
      await closed.promise;
    },
  };
}

/** Before the live view loads: it needs an organization. */
async function insertOrganization(store: Store): Promise<void> {
  const now = Date.now();
  const organization = {
    id: newId(),
    name: "test",
    settings: DEFAULT_SETTINGS,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
  await store.transaction((tx) => tx.organization.insert(organization));
}

async function saveSettings(store: Store, settings: Partial<OrganizationSettings>): Promise<void> {
  await store.transaction(async (tx) => {
    const before = await tx.organization.get();
    await tx.organization.save({
      ...before,
      settings: { ...before.settings, ...settings },
      version: before.version + 1,
    });
  });
}

async function insertServer(
  { store, vault }: { store: Store; vault: Vault },
  patch: Partial<Server> & { name: string },
  given: Partial<ServerSecrets>,
): Promise<Server> {
  const id = newId();
  const secrets: ServerSecrets = { credential: { type: "none" }, headers: {}, env: {}, args: [], ...given };
  const server: Server = {
    id,
    description: null,
    transport: "streamable-http",
    url: null,
    command: null,
    cwd: null,
    headerNames: [],
    envNames: [],
    sealedSecrets: vault.seal(secrets, { table: "servers", id, version: 1 }),
    secretsVersion: 1,
    credential: { type: secrets.credential.type, rotatedAt: null, hint: null, names: [], tokenUrl: null },
    groups: [],
    owner: null,
    status: "active",
    allowPrivateNetwork: true,
    shareable: false,
    protocolVersion: null,
    serverInfo: null,
    health: { state: "unknown", checkedAt: null, latencyMs: null, error: null },
    risk: "info",
    version: 1,
    createdAt: Date.now(),
    updatedAt: Date.now(),
    ...patch,
  };
  await store.transaction((tx) => tx.servers.insert(server));
  return server;
}

async function saveSecrets(
  { store, vault }: { store: Store; vault: Vault },
  { id }: Server,
  given: Partial<ServerSecrets>,
): Promise<void> {
  const secrets: ServerSecrets = { credential: { type: "none" }, headers: {}, env: {}, args: [], ...given };
  await store.transaction(async (tx) => {
    const server = await tx.servers.get(id);
    const secretsVersion = server.secretsVersion + 1;
    const sealedSecrets = vault.seal(secrets, { table: "servers", id, version: secretsVersion });
    await tx.servers.save({ ...server, sealedSecrets, secretsVersion, version: server.version + 1 });
  });
}

async function insertAgent(
  store: Store,
  name: string,
  assignments: readonly (Partial<Assignment> & { serverId: string })[],
): Promise<AgentKey> {
  const key = generateApiKey("agent");
  const now = Date.now();
  const agent: Agent = {
    id: newId(),
    name,
    type: "custom",
    description: null,
    owner: null,
    status: "active",
    assignments: assignments.map((assignment) => ({ tools: null, resources: null, prompts: null, ...assignment })),
    groups: [],
    skills: null,
    lastSeenAt: null,
    version: 1,
    createdAt: now,
    updatedAt: now,
  };
  const keyId = newId();
  await store.transaction(async (tx) => {
    await tx.agents.insert(agent);
    await tx.apiKeys.insert({
      id: keyId,
      name: `${name}-key`,
      kind: "agent",
      origin: "operation",
      hash: hashApiKey(key, pepper),
      hint: toKeyHint(key, "agent"),
      description: null,
      role: null,
      agentId: agent.id,
      memberId: null,
      allowedIps: [],
      createdBy: { type: "system", id: "test", name: "test" },
      createdAt: now,
      expiresAt: null,
      revoked: null,
      ...NEVER_USED,
      version: 1,
    });
  });
  return { agent, key, keyId };
}
