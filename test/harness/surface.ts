import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomBytes } from "node:crypto";
import { z } from "zod";
import { RepeatedDenials } from "../../src/audit/repeated-denials.ts";
import { generateApiKey, hashApiKey } from "../../src/auth/api-key-format.ts";
import { createAuthenticator } from "../../src/auth/authenticate.ts";
import type { ApiKey, KeyKind } from "../../src/domain/api-key.ts";
import { READERS } from "../../src/domain/role.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { AppError } from "../../src/lib/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import { parseIpRange } from "../../src/lib/ip.ts";
import { defineOperation } from "../../src/operations/define-operation.ts";
import { NameField, RefField, text } from "../../src/operations/fields.ts";
import { OPERATIONS } from "../../src/operations/index.ts";
import type { Services } from "../../src/operations/services.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store } from "../../src/store/ports.ts";
import type { AuthenticationOutcome } from "../../src/surfaces/authentication.ts";
import { startHttpServer } from "../../src/surfaces/http-server.ts";
import { createMcp } from "../../src/surfaces/mcp.ts";
import { createRest } from "../../src/surfaces/rest.ts";
import { createMasterKey } from "../../src/vault/envelope.ts";
import { createVault } from "../../src/vault/vault.ts";
import { createPolicyIndex } from "../../src/policy/policy-index.ts";
import { anApiKey, anOrganization } from "./entities.ts";

/* The management faces on a real store and a real listener, with a few operations that show every kind of field and effect. */

export const HOSTILE = "nice\u202etool\u200b\u{e0041} \u001b[31m";

const Thing = z.object({ id: z.string(), name: z.string(), note: z.string() });

/** What the thing operations act on; a row of it is a change that a test can see. */
export const things = new Map<string, z.output<typeof Thing>>();

const listThings = defineOperation({
  name: "list_things",
  title: "List things",
  description: "Lists things.",
  route: "GET /things",
  command: "things list",
  roles: READERS,
  effect: "read",
  input: z.object({
    status: z.enum(["active", "idle"]).optional().describe("Only things with this status"),
    limit: z.int().min(1).max(200).optional().describe("Rows"),
    isNew: z.boolean().optional().describe("Only new things"),
    action: z
      .union([z.string(), z.array(z.string())])
      .optional()
      .describe("One or several"),
    tags: z.array(z.string()).optional().describe("Tags"),
    owner: z.string().nullable().optional().describe("Whose; `null` for nobody's"),
    where: z.object({ size: z.int() }).optional().describe("Filter"),
  }),
  output: z.object({ items: z.array(Thing), total: z.int(), seen: z.record(z.string(), z.unknown()) }),
  handle: (seen) => Promise.resolve({ items: [...things.values()], total: things.size, seen: { ...seen } }),
  summarize: ({ total }) => `${total} things.`,
});

const createThing = defineOperation({
  name: "create_thing",
  title: "Create thing",
  description: "Creates a thing.",
  route: "POST /things",
  command: "things create",
  roles: ["owner", "admin"],
  effect: "write",
  isCreation: true,
  secrets: ["secret"],
  action: "thing.create",
  input: z.object({
    name: NameField.describe("Its name"),
    note: text(500).optional().describe("What it is for"),
    owner: RefField.nullable().optional().describe("Who answers for it"),
    servers: z
      .array(z.union([RefField, z.object({ server: RefField, tools: z.array(z.string()).optional() })]))
      .optional()
      .describe("Servers"),
  }),
  output: z.object({ thing: Thing, secret: z.string().optional() }),
  async prepare(input, context) {
    context.progress(1, 2, "half");
    await Promise.resolve();
    return ({ isDryRun, now }) => {
      const thing = { id: newId(), name: input.name, note: HOSTILE };
      if (things.has(input.name)) throw new AppError("conflict", "the name is taken", { details: { field: "name" } });
      if (!isDryRun) things.set(input.name, thing);
      return Promise.resolve({ thing, secret: `once-${now}` });
    };
  },
  event: ({ thing }) => ({ resource: { type: "thing", id: thing.id, name: thing.name } }),
  summarize: ({ thing }) => `Thing \`${thing.id}\` created.`,
});

const deleteThing = defineOperation({
  name: "delete_thing",
  title: "Delete thing",
  description: "Deletes a thing.",
  route: "DELETE /things/{id}",
  command: "things delete",
  roles: ["owner", "admin"],
  effect: "destroy",
  action: "thing.delete",
  input: z.object({ id: RefField.describe("The thing") }),
  output: z.object({ deleted: z.literal(true), impact: z.object({ things: z.int() }) }),
  handle({ id }, { isDryRun }) {
    if (!things.has(id)) throw new AppError("not_found", `there is no thing \`${id}\``);
    if (!isDryRun) things.delete(id);
    return Promise.resolve({ deleted: true as const, impact: { things: 1 } });
  },
  event: (_output, { id }) => ({ resource: { type: "thing", id, name: id } }),
  summarize: () => "One thing.",
});

const breakThing = defineOperation({
  name: "break_thing",
  title: "Break thing",
  description: "Fails.",
  route: "GET /broken",
  command: "things break",
  roles: READERS,
  effect: "read",
  input: z.object({}),
  output: z.object({}),
  handle: () => Promise.reject(new Error("a secret of ours")),
  summarize: () => "",
});

export const TEST_OPERATIONS = [...OPERATIONS, listThings, createThing, deleteThing, breakThing];

const unused = () => Promise.reject(new Error("not used here"));

function services(keys: Pick<Keyring, "byId">): Services {
  const vault = createVault(createMasterKey(randomBytes(32)));
  const counters = {
    countByServer: () => 0,
    countByAgent: () => 0,
    countByKey: () => 0,
    list: () => [],
    end: () => false,
  };
  return {
    vault,
    probe: { discover: unused, verifyCredential: unused, checkAddress: unused },
    keys: { create: () => ({ secret: "", hash: "", hint: "" }) },
    sessions: counters,
    publicUrl: "http://127.0.0.1:7420",
    isStdioAllowed: false,
    newId,
    runSkill: () => Promise.reject(new Error("no skill runs here")),
    flushAudit: () => Promise.resolve(),
    pendingKeyUse: () => undefined,
    noteKeyDenied: () => undefined,
    stdioIsolation: "off",
    clock: systemClock,
    scanSlot: { acquire: () => () => undefined, startInBackground: () => undefined },
    deviceReports: { requestedAt: () => Promise.resolve(0), request: unused },
    sweepHost: {
      device: "test-machine",
      home: "/nonexistent",
      identityKey: "",
      readHome: unused,
      readProcesses: unused,
      readNetwork: unused,
      expandNetworks: unused,
      probeNetwork: unused,
    },
    snapshot: () => ({
      revision: 1,
      isBehind: false,
      organization: anOrganization(),
      keyByHash: new Map(),
      keyById: keys.byId(),
      agentById: new Map(),
      serverById: new Map(),
      serverIdByName: new Map(),
      memberById: new Map(),
      groupById: new Map(),
      skillById: new Map(),
      skillIdByName: new Map(),
      policies: createPolicyIndex([]),
    }),
  };
}

type Keyring = ReturnType<typeof keyring>;

function keyring(store: Store) {
  const pepper = randomBytes(32);
  const byHash = new Map<string, ApiKey>();
  const listeners = new Set<(keyId: string) => void>();
  const check = createAuthenticator(pepper);
  return {
    add(given: Partial<ApiKey> = {}, kind: KeyKind = "organization") {
      const secret = generateApiKey(kind);
      const key = anApiKey({
        kind,
        role: kind === "organization" ? "owner" : null,
        ...given,
        hash: hashApiKey(secret, pepper),
      });
      byHash.set(key.hash, key);
      // Before whatever is written next.
      void store.transaction(({ apiKeys }) => apiKeys.insert(key));
      return { secret, key };
    },
    revoke(key: ApiKey): void {
      const revoked = { ...key, revoked: { at: Date.now(), reason: null }, version: key.version + 1 };
      byHash.set(key.hash, revoked);
      void store.transaction(({ apiKeys }) => apiKeys.save(revoked));
      for (const listener of listeners) listener(key.id);
    },
    byId: () => new Map([...byHash.values()].map((key) => [key.id, key])),
    onKeyEnded(listener: (keyId: string) => void): () => void {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    authenticate(request: {
      authorization: string | undefined;
      kind: KeyKind;
      ip: string | undefined;
    }): AuthenticationOutcome {
      const found = check({ ...request, nowMs: Date.now() }, (hash) => byHash.get(hash));
      if (!found.ok) return { ok: false, reason: found.reason };
      const { id, name, role, expiresAt } = found.key;
      const actor = { type: "key" as const, id, name, ip: request.ip };
      return {
        ok: true,
        identity: { caller: { actor, role: role ?? "member", memberId: null }, keyId: id, keyExpiresAt: expiresAt },
      };
    },
  };
}

export type SurfaceHarness = Awaited<ReturnType<typeof startSurface>>;

/** Starts it on a free port; MUST be closed. */
export async function startSurface(given: { readonly trustedProxies?: readonly string[] } = {}) {
  const dataDir = await mkdtemp(join(tmpdir(), "runlayer-surface-"));
  const store = await openStore({ dataDir, clock: systemClock });
  store.onCommitted(() => Promise.resolve());
  await store.transaction((repositories) => repositories.organization.insert(anOrganization()));
  const keys = keyring(store);
  const reported: unknown[] = [];
  const denials = new RepeatedDenials({ emit: (event) => void reported.push(event) });
  const settings = {
    operations: TEST_OPERATIONS,
    runtime: { store, services: services(keys), clock: systemClock, denials },
    authenticate: (request: Parameters<typeof keys.authenticate>[0]) => keys.authenticate(request),
    onKeyEnded: (listener: (keyId: string) => void) => keys.onKeyEnded(listener),
    version: "0.0.0-test",
    reportError: (error: unknown) => void reported.push(error),
  };
  const mcp = createMcp(settings);
  const server = await startHttpServer({
    host: "127.0.0.1",
    port: 0,
    publicUrl: "https://runlayer.example.com",
    trustedProxies: (given.trustedProxies ?? []).map(parseIpRange).filter((range) => range !== undefined),
    handlers: { "/api/v1/": createRest(settings), "/mcp": mcp.handle },
    reportError: settings.reportError,
  });
  server.open();
  const url = `http://127.0.0.1:${server.port}`;
  const owner = keys.add();
  return {
    url,
    keys,
    owner,
    mcp,
    store,
    reported,
    /** For operations that are called without a face. */
    runtime: settings.runtime,
    /** A REST call of the owner unless told otherwise. */
    async call(
      method: string,
      path: string,
      options: { body?: unknown; raw?: string; headers?: Record<string, string> } = {},
    ) {
      const body = options.raw ?? (options.body === undefined ? null : JSON.stringify(options.body));
      const headers = {
        authorization: `Bearer ${owner.secret}`,
        ...(body === null ? {} : { "content-type": "application/json" }),
        ...options.headers,
      };
      const response = await fetch(`${url}/api/v1${path}`, { method, headers, body });
      const answer: unknown = await response.json();
      return {
        status: response.status,
        headers: response.headers,
        body: z.record(z.string(), z.unknown()).parse(answer),
      };
    },
    async close(): Promise<void> {
      things.clear();
      await mcp.close(0);
      await server.close(1_000);
      await store.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}
