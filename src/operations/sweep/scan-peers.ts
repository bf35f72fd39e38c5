import { comparePeers, type PeerChange } from "../../domain/server-peer.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { Peer, PeerCertificate } from "../../lib/egress/peer-book.ts";
import type { Repositories } from "../../store/ports.ts";
import { visible } from "../../sweep/server-rules.ts";
import { peerPlace } from "./place.ts";
import type { Contact } from "./scan-registry.ts";
import type { PlacedObservation } from "./sightings.ts";

interface KnownPeers {
  readonly peers: ReadonlyMap<string, Peer>;
  /** Name of a registered server; undefined for one that is gone. */
  readonly nameOf: (serverId: string) => string | undefined;
  readonly now: number;
}

/** A registered server behind whose address another host or another authority answers than the accepted one. */
export function peerObservations(
  { serverId, discovery: { peer } }: Contact,
  { peers, nameOf, now }: KnownPeers,
): PlacedObservation[] {
  const name = nameOf(serverId);
  if (name === undefined || peer === undefined) return [];
  const verdict = verdictOf(comparePeers(peers.get(serverId), peer, now), name);
  if (verdict === undefined) return [];
  return [
    {
      ...verdict,
      kind: "drift",
      confidence: 0.9,
      identity: `server:${serverId}`,
      serverId,
      remediation:
        "ask who runs the endpoint; if the change was meant, accept it by setting the same `url` with update_mcp_server, else quarantine the server",
      fix: { kind: "review" },
      place: peerPlace(serverId),
      instance: {},
    },
  ];
}

type Verdict = Pick<PlacedObservation, "code" | "title" | "severity" | "evidence">;

function verdictOf(change: PeerChange, name: string): Verdict | undefined {
  if (change.kind === "accepted") return undefined;
  if (change.kind === "addresses") {
    const [after, before] = [change.after, change.before].map((list) => list.slice(0, 4).join(", "));
    return {
      code: "HOST-CHANGED",
      title: "registered server that moved to another host",
      severity: "medium",
      evidence: `the name of \`${name}\` leads to ${after ?? ""}, not to ${before ?? ""}, and without TLS nothing else tells the host`,
    };
  }
  const { before, after } = change;
  const isEarly = change.kind === "early";
  return {
    code: "CERTIFICATE-CHANGED",
    title: "registered server with another certificate",
    severity: isEarly ? "low" : "medium",
    evidence: isEarly
      ? `\`${name}\` shows a new certificate long before the old one ends (${toRfc3339(before.validTo)}): ${shown(after)}, not ${shown(before)}`
      : `\`${name}\` shows a certificate ${shown(after)}, not ${shown(before)}`,
  };
}

function shown({ issuer, fingerprint, isSelfSigned }: PeerCertificate): string {
  return `${isSelfSigned ? "signed by itself" : `issued by \`${visible(issuer)}\``} (SHA-256 ${fingerprint.slice(0, 16)})`;
}

/** What a scan accepts by itself: first sights, renewals on time, addresses beside known ones. A server that is gone has none. */
export async function savePeers(
  contacts: readonly Contact[],
  { servers }: Pick<Repositories, "servers">,
  now: number,
): Promise<void> {
  const known = await servers.peers(contacts.map(({ serverId }) => serverId));
  for (const { serverId, discovery } of contacts) {
    if (discovery.peer === undefined || (await servers.find(serverId)) === undefined) continue;
    const change = comparePeers(known.get(serverId), discovery.peer, now);
    if (change.kind === "accepted") await servers.savePeer(serverId, change.peer);
  }
}
