import ipaddr from "ipaddr.js";

type Address = ReturnType<typeof ipaddr.process>;

/** An address or a CIDR range, parsed once; IPv4-mapped IPv6 counts as IPv4. Undefined for anything else. */
export type IpRange = readonly [Address, number];

/** Parses `10.0.0.0/8`, `192.0.2.1`, `2001:db8::/32` …; undefined where the text is neither an address nor a range. */
export function parseIpRange(text: string): IpRange | undefined {
  if (ipaddr.isValidCIDR(text)) return ipaddr.parseCIDR(text);
  if (!isIpAddress(text)) return undefined;
  const address = ipaddr.process(text);
  return [address, address.kind() === "ipv4" ? 32 : 128];
}

/** Whether the text is an IPv4 address in four parts or an IPv6 address; shorthand such as `127.1` is not one. */
export function isIpAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) || ipaddr.IPv6.isValid(text);
}

/** Whether an address is in one of the ranges. An address that does not parse is in none. */
export function isIpInRanges(ip: string, ranges: readonly IpRange[]): boolean {
  if (!isIpAddress(ip)) return false;
  const address = ipaddr.process(ip);
  return ranges.some(([network, bits]) => network.kind() === address.kind() && address.match(network, bits));
}

/** Whether all of a range lies in another one. */
export function isRangeWithin([network, bits]: IpRange, [outer, outerBits]: IpRange): boolean {
  return network.kind() === outer.kind() && bits >= outerBits && network.match(outer, outerBits);
}

/** Which addresses are one place: an IPv4 address by itself, an IPv6 one by its /64, within which hosts change theirs daily. */
export function networkOf(ip: string): string | undefined {
  if (!isIpAddress(ip)) return undefined;
  const address = ipaddr.process(ip);
  if (address.kind() === "ipv4") return address.toString();
  const network = address.toByteArray().fill(0, 8);
  return `${ipaddr.fromByteArray(network).toString()}/64`;
}
