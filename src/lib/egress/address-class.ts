import ipaddr from "ipaddr.js";

/** `refused` is never connected to; `private` needs `allowPrivateNetwork`; `public` is free. */
export type AddressKind = "public" | "private" | "refused";

export interface AddressClass {
  readonly kind: AddressKind;
  /** What the address is, for a message: "a loopback address". */
  readonly what: string;
}

type Range = readonly [cidr: string, kind: AddressKind, what: string];
type Address = ipaddr.IPv4 | ipaddr.IPv6;

const METADATA = "a cloud metadata address";
const PUBLIC: AddressClass = { kind: "public", what: "a public address" };
const NO_ADDRESS: AddressClass = { kind: "refused", what: "not an IP address" };

/** First match decides, so single metadata addresses come before the ranges around them (IANA special-purpose registries). */
const IPV4_RANGES: readonly Range[] = [
  ["100.100.100.200/32", "refused", METADATA], // Alibaba Cloud
  ["168.63.129.16/32", "refused", METADATA], // Azure wire server
  ["192.0.0.192/32", "refused", METADATA], // Oracle Cloud
  ["169.254.0.0/16", "refused", "a link-local address"],
  ["0.0.0.0/8", "refused", "an unspecified address"],
  ["224.0.0.0/4", "refused", "a multicast address"],
  ["240.0.0.0/4", "refused", "a reserved address"],
  ["127.0.0.0/8", "private", "a loopback address"],
  ["10.0.0.0/8", "private", "a private address"],
  ["172.16.0.0/12", "private", "a private address"],
  ["192.168.0.0/16", "private", "a private address"],
  ["100.64.0.0/10", "private", "a shared (CGNAT) address"],
  ["192.0.0.0/24", "private", "a special-purpose address"],
  ["198.18.0.0/15", "private", "a benchmarking address"],
];

const IPV6_RANGES: readonly Range[] = [
  ["fd00:ec2::/32", "refused", METADATA], // AWS: instance metadata, DNS and time live in this prefix
  ["fd20:ce::254/128", "refused", METADATA], // Google Cloud
  ["fd00:42::42/128", "refused", METADATA], // Scaleway
  ["fe80::/10", "refused", "a link-local address"],
  ["ff00::/8", "refused", "a multicast address"],
  ["::/128", "refused", "an unspecified address"],
  ["::1/128", "private", "a loopback address"],
  ["fc00::/7", "private", "a unique local address"],
  ["fec0::/10", "private", "a site-local address"],
  ["64:ff9b:1::/48", "private", "a local NAT64 address"],
  ["100::/64", "private", "a discard-only address"],
];

/** IPv6 forms that carry an IPv4 address which the packet may end at: prefix, and the byte where the four bytes start. */
const EMBEDDING: readonly (readonly [cidr: string, offset: number, inverted: boolean])[] = [
  ["::ffff:0:0/96", 12, false], // IPv4-mapped, RFC 4291 §2.5.5.2
  ["::ffff:0:0:0/96", 12, false], // IPv4-translated, RFC 2765
  ["::/96", 12, false], // IPv4-compatible, RFC 4291 §2.5.5.1
  ["64:ff9b::/96", 12, false], // NAT64, RFC 6052
  ["64:ff9b:1::/48", 12, false], // local NAT64, RFC 8215, with the /96 form
  ["2002::/16", 2, false], // 6to4, RFC 3056
  ["2001::/32", 12, true], // Teredo, RFC 4380: the client's address is stored inverted
];

const RANK: Readonly<Record<AddressKind, number>> = { public: 0, private: 1, refused: 2 };

/** What may be done with an IP address in text form, zone id allowed. Anything that is no address is refused. */
export function classifyAddress(text: string): AddressClass {
  const address = parseAddress(text);
  if (address === undefined) return NO_ADDRESS;
  if (address instanceof ipaddr.IPv4) return classifyIn(address, IPV4_RANGES);
  const own = classifyIn(address, IPV6_RANGES);
  const special = own.kind === "public" ? undefined : own;
  return [special, ...embeddedClasses(address)]
    .filter((found) => found !== undefined)
    .reduce((worst, found) => (RANK[found.kind] > RANK[worst.kind] ? found : worst), PUBLIC);
}

/** One text per address, so that spellings compare equal: IPv4-mapped IPv6 becomes IPv4, zone ids go. */
export function canonicalAddress(text: string): string | undefined {
  const address = parseAddress(text);
  if (address === undefined) return undefined;
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress()) return address.toIPv4Address().toString();
  return address.toString();
}

/** True for 127.0.0.0/8 and `::1`, also as IPv4-mapped IPv6. */
export function isLoopback(text: string): boolean {
  const canonical = canonicalAddress(text);
  return canonical !== undefined && (canonical === "::1" || canonical.startsWith("127."));
}

function parseAddress(text: string): Address | undefined {
  const bare = text.replace(/%.*$/, "");
  return ipaddr.isValid(bare) ? ipaddr.parse(bare) : undefined;
}

function classifyIn(address: Address, ranges: readonly Range[]): AddressClass {
  const found = ranges.find(([cidr]) => isIn(address, cidr));
  return found === undefined ? PUBLIC : { kind: found[1], what: found[2] };
}

function embeddedClasses(address: ipaddr.IPv6): AddressClass[] {
  // `::` and `::1` are in ::/96 but carry no IPv4 address.
  if (["::", "::1"].includes(address.toString())) return [];
  const bytes = address.toByteArray();
  return EMBEDDING.filter(([cidr]) => isIn(address, cidr)).map(([, offset, inverted]) => {
    const four = bytes.slice(offset, offset + 4).map((byte) => (inverted ? byte ^ 0xff : byte));
    const inner = classifyIn(new ipaddr.IPv4(four), IPV4_RANGES);
    return { kind: inner.kind, what: `${inner.what} inside IPv6` };
  });
}

function isIn(address: Address, cidr: string): boolean {
  const [network, bits] = ipaddr.parseCIDR(cidr);
  return address.kind() === network.kind() && address.match(network, bits);
}
