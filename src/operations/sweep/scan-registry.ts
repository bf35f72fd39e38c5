import { keyStatus } from "../../domain/api-key.ts";
import type { Server } from "../../domain/server.ts";
import { mergeTools, wholeListing } from "../../domain/tool-definition.ts";
import type { Peer } from "../../lib/egress/peer-book.ts";
import type { ServerView, Snapshot } from "../../snapshot/snapshot.ts";
import type { Discovery, Services } from "../services.ts";
import { peerPlace, REGISTRY_PLACE, serverPlace } from "./place.ts";
import { peerObservations } from "./scan-peers.ts";
import { judgePolicies, type PolicyRecords } from "./scan-policies.ts";
import { NO_COUNTS, type PlacedObservation, type Sightings } from "./sightings.ts";

/** A registered server that a scan contacted, and what it said. */
export interface Contact {
  readonly serverId: string;
  readonly discovery: Discovery;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const CREDENTIAL_DAYS_MAX = 90;
const UNUSED_DAYS = 30;
const EXPIRING_DAYS = 14;
const CONTACT_TIMEOUT_MS = 5000;
const CONTACTS_AT_ONCE = 8;

/** Contacts every active server that has an address, as the gateway would. A stdio server is not started: a scan is passive. */
export async function contactServers(services: Services, signal: AbortSignal): Promise<readonly Contact[]> {
  const snapshot = services.snapshot();
  const active = [...snapshot.serverById.values()].filter(
    ({ server }) => server.status === "active" && server.transport !== "stdio",
  );
  const contacts: Contact[] = [];
  const queue = active.values();
  const work = async (): Promise<void> => {
    for (const { server, secrets } of queue) {
      if (signal.aborted) return;
      const { transport, url, command, cwd, allowPrivateNetwork } = server;
      const target = { ...secrets(), transport, url, command, cwd, allowPrivateNetwork };
      const discovery = await services.probe.discover(target, { timeoutMs: CONTACT_TIMEOUT_MS, signal });
      if (!signal.aborted) contacts.push({ serverId: server.id, discovery });
    }
  };
  await Promise.all(Array.from({ length: CONTACTS_AT_ONCE }, work));
  return contacts;
}

/** What a scan knows of the registry beyond the live view. */
export interface RegistryRecords {
  readonly contacts: readonly Contact[];
  readonly policies: PolicyRecords;
  /** Who answered at each server's address when that was last accepted. */
  readonly peers: ReadonlyMap<string, Peer>;
  readonly now: number;
}

/** Drift and neglect of everything that is registered. */
export function judgeRegistry(snapshot: Snapshot, { contacts, policies, peers, now }: RegistryRecords): Sightings {
  const discoveries = new Map(contacts.map(({ serverId, discovery }) => [serverId, discovery]));
  const servers = [...snapshot.serverById.values()];
  const nameOf = (id: string): string | undefined => snapshot.serverById.get(id)?.server.name;
  const unread = servers.filter(({ server }) => isContactable(server) && !discoveries.has(server.id));
  return {
    observations: [
      ...servers.flatMap((view) => serverObservations(view, { discovery: discoveries.get(view.server.id), now })),
      ...contacts.flatMap((contact) => peerObservations(contact, { peers, nameOf, now })),
      ...ownerObservations(snapshot),
      ...agentObservations(snapshot, now),
      ...keyObservations(snapshot, now),
      ...judgePolicies(policies, snapshot, now),
    ],
    read: [REGISTRY_PLACE, ...contacts.flatMap(placesReadBy), ...goneOrPassive(servers)],
    unread: [],
    coverage: [
      {
        target: "registry",
        place: "registry",
        status: unread.length === 0 ? "read" : "partial",
        reason: `${contacts.length} servers contacted${unread.length === 0 ? "" : `, ${unread.length} not in time`}`,
      },
    ],
    counts: NO_COUNTS,
  };
}

function isContactable({ status, transport }: Server): boolean {
  return status === "active" && transport !== "stdio";
}

function placesReadBy({ serverId, discovery }: Contact): string[] {
  return [serverPlace(serverId), ...(discovery.peer === undefined ? [] : [peerPlace(serverId)])];
}

/** Servers that nobody contacts are judged by what is stored: their place counts as read. */
function goneOrPassive(servers: readonly { readonly server: Server }[]): string[] {
  return servers.flatMap(({ server }) => (isContactable(server) ? [] : [serverPlace(server.id), peerPlace(server.id)]));
}

interface ServerJudgement {
  readonly discovery: Discovery | undefined;
  readonly now: number;
}

function serverObservations(
  { server, toolByName, absentTools }: ServerView,
  { discovery, now }: ServerJudgement,
): PlacedObservation[] {
  const about = { identity: `server:${server.id}`, serverId: server.id, place: REGISTRY_PLACE };
  const known = [...toolByName.values(), ...absentTools];
  const seen = { serverId: server.id, seenAt: now, isAccepted: false };
  const merged = discovery?.state === "ok" ? mergeTools(known, wholeListing(discovery.tools), seen) : known;
  const tools = merged.filter(({ absentSince }) => absentSince === null);
  const changed = tools.filter(({ state }) => state === "changed").length;
  // Against what was accepted, if anything was: one that traffic showed before the scan is no less new.
  const wasAccepted = merged.some(({ state }) => state !== "unreviewed");
  const fresh = wasAccepted ? tools.filter(({ state }) => state === "unreviewed").length : 0;
  const found: PlacedObservation[] = [];
  if (discovery !== undefined && discovery.state !== "ok" && discovery.state !== "not_contacted") {
    found.push(
      observe({
        ...about,
        place: serverPlace(server.id),
        ...BROKEN,
        evidence: `server \`${server.name}\` answered: ${discovery.state}${discovery.error === undefined ? "" : ` (${discovery.error.slice(0, 300)})`}`,
      }),
    );
  }
  if (changed + fresh > 0) {
    const evidence = `server \`${server.name}\`: ${changed} tools changed, ${fresh} are new since they were accepted`;
    found.push(observe({ ...about, place: serverPlace(server.id), ...DRIFT, evidence }));
  }
  const { type, rotatedAt } = server.credential;
  if (type !== "none" && rotatedAt !== null && now - rotatedAt > CREDENTIAL_DAYS_MAX * DAY_MS) {
    const days = Math.floor((now - rotatedAt) / DAY_MS);
    found.push(observe({ ...about, ...STALE, evidence: `the credential of \`${server.name}\` is ${days} days old` }));
  }
  return found;
}

const BROKEN = {
  code: "SERVER-NOT-WORKING",
  kind: "drift",
  severity: "medium",
  title: "registered server that does not answer as one",
  remediation: "repair the endpoint or its credential, or disable the server",
} as const;
const DRIFT = {
  code: "TOOLS-CHANGED",
  kind: "drift",
  severity: "high",
  title: "tools that changed since they were accepted",
  remediation: "compare them in get_mcp_server, then accept them with update_mcp_server `approveToolChanges`",
} as const;
const STALE = {
  code: "CREDENTIAL-STALE",
  kind: "policy_violation",
  severity: "medium",
  title: `credential not rotated for ${CREDENTIAL_DAYS_MAX} days`,
  remediation:
    "make a new one at the provider and set it with update_mcp_server; the old one is kept if the new one fails",
} as const;

/** Servers and agents whose owner no longer answers for them. */
function ownerObservations({ serverById, agentById, memberById }: Snapshot): PlacedObservation[] {
  const servers = [...serverById.values()].map(({ server }) => ({ ...server, noun: "server", serverId: server.id }));
  const agents = [...agentById.values()].map(({ agent }) => ({ ...agent, noun: "agent", serverId: undefined }));
  return [...servers, ...agents].flatMap(({ id, name, owner, noun, serverId }) => {
    if (owner === null) return [];
    const member = memberById.get(owner);
    if (member !== undefined && member.status !== "suspended") return [];
    return [
      observe({
        code: "OWNER-LEFT",
        kind: "policy_violation",
        severity: "medium",
        title: "object whose owner left",
        identity: `${noun}:${id}`,
        serverId,
        evidence: `the owner of ${noun} \`${name}\` is ${member === undefined ? "no member any more" : "suspended"}`,
        remediation: `name another owner with ${noun === "server" ? "update_mcp_server" : "update_agent"}`,
      }),
    ];
  });
}

function agentObservations({ agentById }: Snapshot, now: number): PlacedObservation[] {
  const unused = [...agentById.values()].filter(
    ({ agent }) => agent.status === "active" && now - (agent.lastSeenAt ?? agent.createdAt) > UNUSED_DAYS * DAY_MS,
  );
  return unused.map(({ agent }) =>
    observe({
      code: "AGENT-UNUSED",
      kind: "security_risk",
      severity: "low",
      title: `agent unused for ${UNUSED_DAYS} days`,
      identity: `agent:${agent.id}`,
      evidence: `agent \`${agent.name}\` keeps its access and does not use it`,
      remediation: "suspend it until somebody needs it",
      fix: { kind: "call", tool: "update_agent", arguments: { id: agent.id, status: "suspended" } },
    }),
  );
}

function keyObservations({ keyById }: Snapshot, now: number): PlacedObservation[] {
  return [...keyById.values()]
    .filter((key) => keyStatus(key, now) === "active")
    .flatMap((key) => {
      const about = { kind: "security_risk", identity: `key:${key.id}`, severity: "low" } as const;
      const isUnused = now - (key.lastUsedAt ?? key.createdAt) > UNUSED_DAYS * DAY_MS;
      const isExpiring = key.expiresAt !== null && key.expiresAt - now < EXPIRING_DAYS * DAY_MS;
      return [
        ...(isUnused
          ? [
              observe({
                ...about,
                code: "KEY-UNUSED",
                title: `key unused for ${UNUSED_DAYS} days`,
                evidence: `key \`${key.name}\` (${key.hint})`,
                remediation:
                  key.kind === "device"
                    ? "revoke it with revoke_api_key if the machine is gone: that ends the device; `runlayer scan` reports for a device without its key"
                    : "revoke it with revoke_api_key unless somebody names its purpose",
              }),
            ]
          : []),
        ...(isExpiring
          ? [
              observe({
                ...about,
                code: "KEY-EXPIRING",
                title: `key that expires within ${EXPIRING_DAYS} days`,
                evidence: `key \`${key.name}\` (${key.hint})`,
                remediation: "make its successor with create_api_key and hand it out before this one stops",
              }),
            ]
          : []),
      ];
    });
}

type Judgement = Pick<
  PlacedObservation,
  "code" | "kind" | "title" | "severity" | "identity" | "evidence" | "remediation" | "serverId"
> &
  Partial<Pick<PlacedObservation, "fix" | "place">>;

function observe(judgement: Judgement): PlacedObservation {
  return { place: REGISTRY_PLACE, fix: { kind: "review" }, confidence: 1, instance: {}, ...judgement };
}
