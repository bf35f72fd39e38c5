import { expect, test } from "vitest";
import type { Peer, PeerCertificate } from "../lib/egress/peer-book.ts";
import { comparePeers } from "./server-peer.ts";

const DAY_MS = 86_400_000;
const NOW = 1_000 * DAY_MS;

function certificate(fingerprint: string, more: Partial<PeerCertificate> = {}): PeerCertificate {
  const life = { validFrom: NOW - 60 * DAY_MS, validTo: NOW + 30 * DAY_MS };
  return { fingerprint, issuer: "Acme", isSelfSigned: false, ...life, ...more };
}

function peer(shown: PeerCertificate | null, ...addresses: string[]): Peer {
  return { addresses: addresses.length === 0 ? ["10.0.0.1"] : addresses, certificate: shown };
}

const fresh = certificate("a", { validFrom: NOW - DAY_MS, validTo: NOW + 89 * DAY_MS });

test.each([
  ["the first sight", undefined, peer(null), "accepted"],
  ["the same certificate at another address", peer(certificate("a")), peer(certificate("a"), "10.9.9.9"), "accepted"],
  ["a renewal on time", peer(certificate("a")), peer(certificate("b"), "10.9.9.9"), "accepted"],
  ["a renewal of a fresh certificate", peer(fresh), peer(certificate("b")), "early"],
  ["another issuer", peer(certificate("a")), peer(certificate("b", { issuer: "Other" })), "issuer"],
  ["a certificate of its own making", peer(certificate("a")), peer(certificate("b", { isSelfSigned: true })), "issuer"],
  ["an address in common", peer(null, "10.0.0.1", "10.0.0.2"), peer(null, "10.0.0.2", "10.0.0.3"), "accepted"],
  ["no address in common", peer(null, "10.0.0.1"), peer(null, "10.0.0.9"), "addresses"],
  ["TLS that came", peer(null, "10.0.0.1"), peer(certificate("a"), "10.0.0.1"), "accepted"],
] as const)("takes %s for what it is", (...[, known, seen, kind]) => {
  expect(comparePeers(known, seen, NOW).kind).toBe(kind);
});

test("remembers a bounded number of addresses, the seen ones first", () => {
  const many = Array.from({ length: 16 }, (_item, index) => `10.0.0.${String(index)}`);
  const change = comparePeers(peer(null, ...many), peer(null, "10.0.0.3", "10.1.1.1"), NOW);
  expect(change).toMatchObject({ kind: "accepted" });
  expect(change.kind === "accepted" && change.peer.addresses.slice(0, 2)).toEqual(["10.0.0.3", "10.1.1.1"]);
  expect(change.kind === "accepted" && change.peer.addresses).toHaveLength(16);
});
