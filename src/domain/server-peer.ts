import type { Peer, PeerCertificate } from "../lib/egress/peer-book.ts";

/** What a new sight of a peer means against the one that was accepted. */
export type PeerChange =
  /** The same, or what any operator of an endpoint does: this is accepted from now on. */
  | { readonly kind: "accepted"; readonly peer: Peer }
  /** Who vouches for the endpoint is another. */
  | { readonly kind: "issuer"; readonly before: PeerCertificate; readonly after: PeerCertificate }
  /** The same issuer, with more than half of the old certificate's life left: no timer renews so early. */
  | { readonly kind: "early"; readonly before: PeerCertificate; readonly after: PeerCertificate }
  /** Without a certificate the address is all that tells one host from another. */
  | { readonly kind: "addresses"; readonly before: readonly string[]; readonly after: readonly string[] };

const ADDRESSES_MAX = 16;

/** Compares with what was accepted; the first sight is. */
export function comparePeers(known: Peer | undefined, seen: Peer, now: number): PeerChange {
  if (known === undefined) return { kind: "accepted", peer: seen };
  const before = known.certificate;
  const after = seen.certificate;
  if (before === null || after === null) return compareAddresses(known, seen);
  if (before.fingerprint === after.fingerprint) return { kind: "accepted", peer: seen };
  // A certificate that vouches for itself is vouched for by nobody who could renew it.
  if (before.issuer !== after.issuer || after.isSelfSigned) return { kind: "issuer", before, after };
  const left = before.validTo - now;
  if (left > (before.validTo - before.validFrom) / 2) return { kind: "early", before, after };
  return { kind: "accepted", peer: seen };
}

/** Hosts with many addresses show some of them at a time: one in common is enough. */
function compareAddresses(known: Peer, seen: Peer): PeerChange {
  const isKnown = seen.addresses.some((address) => known.addresses.includes(address));
  if (!isKnown) return { kind: "addresses", before: known.addresses, after: seen.addresses };
  const addresses = [...new Set([...seen.addresses, ...known.addresses])].slice(0, ADDRESSES_MAX);
  return { kind: "accepted", peer: { addresses, certificate: seen.certificate } };
}
