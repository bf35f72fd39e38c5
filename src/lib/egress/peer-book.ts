import type { X509Certificate } from "node:crypto";
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { createLruCache } from "../lru-cache.ts";
import { bareName } from "./own-listeners.ts";

/** Who answered at an address, as its last connection showed. Texts come from the certificate: bound and escape before showing. */
export interface Peer {
  /** Everything that the name resolved to; for an address, itself. */
  readonly addresses: readonly string[];
  /** Null without TLS. It was verified, or there would be no connection. */
  readonly certificate: PeerCertificate | null;
}

export interface PeerCertificate {
  /** SHA-256 of the DER form, hex. */
  readonly fingerprint: string;
  /** The organization that issued it, or the whole name of the issuer where that names none. */
  readonly issuer: string;
  readonly isSelfSigned: boolean;
  readonly validFrom: number;
  readonly validTo: number;
}

const HOSTS_MAX = 10_000;
/** More addresses for one name say no more. */
const ADDRESSES_MAX = 16;
const NAME_CHARACTERS_MAX = 200;

/** Remembers, for a bounded number of hosts, what their last connections showed. */
export class PeerBook {
  readonly #addresses = createLruCache<readonly string[]>(HOSTS_MAX);
  readonly #certificates = createLruCache<PeerCertificate>(HOSTS_MAX);

  resolved(host: string, addresses: readonly string[]): void {
    this.#addresses.set(bareName(host), addresses.slice(0, ADDRESSES_MAX).toSorted());
  }

  connected(host: string, port: number, socket: Socket): void {
    const name = bareName(host);
    if (this.#addresses.get(name) === undefined && socket.remoteAddress !== undefined) {
      this.#addresses.set(name, [socket.remoteAddress]);
    }
    const certificate = socket instanceof TLSSocket ? socket.getPeerX509Certificate() : undefined;
    if (certificate !== undefined) this.#certificates.set(`${name}:${String(port)}`, toPeerCertificate(certificate));
  }

  /** Undefined for a host that nobody connected to. */
  find(host: string, port: number): Peer | undefined {
    const name = bareName(host);
    const addresses = this.#addresses.get(name);
    if (addresses === undefined) return undefined;
    return { addresses, certificate: this.#certificates.get(`${name}:${String(port)}`) ?? null };
  }
}

function toPeerCertificate(certificate: X509Certificate): PeerCertificate {
  const { fingerprint256, issuer, subject, validFromDate, validToDate } = certificate;
  const organization = /^O=(.+)$/m.exec(issuer)?.[1];
  return {
    fingerprint: fingerprint256.replaceAll(":", "").toLowerCase(),
    issuer: (organization ?? issuer.replaceAll("\n", ", ")).slice(0, NAME_CHARACTERS_MAX),
    isSelfSigned: issuer === subject,
    validFrom: validFromDate.getTime(),
    validTo: validToDate.getTime(),
  };
}
