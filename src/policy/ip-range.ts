import { failure, type Failure, type IpRange } from "./value.ts";

/** The longest text of an address with its prefix length that Cedar reads. */
const TEXT_LENGTH_MAX = 43;
const OCTET = /^(?:0|[1-9]\d{0,2})$/;
const HEX_GROUP = /^[0-9a-fA-F]{1,4}$/;
const PREFIX = /^(?:0|[1-9]\d{0,2})$/;

/** Cedar's `ip("…")`: an IPv4 or IPv6 address or range. IPv4 embedded in IPv6 text is refused, as Cedar refuses it. */
export function parseIpRange(text: string): IpRange | Failure {
  const refused = failure(`\`${text}\` is no IP address or CIDR range`);
  if (text.length > TEXT_LENGTH_MAX || (text.includes(":") && text.includes("."))) return refused;
  const [addressText = "", prefixText, ...rest] = text.split("/");
  if (rest.length > 0) return refused;
  const version = addressText.includes(":") ? 6 : 4;
  const address = version === 6 ? parseV6(addressText) : parseV4(addressText);
  if (address === undefined) return refused;
  const prefix = parsePrefix(prefixText, version === 6 ? 128 : 32);
  return prefix === undefined ? refused : { kind: "ip", version, address, prefix };
}

function parsePrefix(text: string | undefined, widest: number): number | undefined {
  if (text === undefined) return widest;
  return PREFIX.test(text) && Number(text) <= widest ? Number(text) : undefined;
}

/** Whether every address of `inner` lies in `outer`. IPv4 and IPv6 never contain each other. */
export function isInRange(inner: IpRange, outer: IpRange): boolean {
  if (inner.version !== outer.version || inner.prefix < outer.prefix) return false;
  const width = inner.version === 6 ? 128 : 32;
  const shift = BigInt(width - outer.prefix);
  return inner.address >> shift === outer.address >> shift;
}

export function isLoopback(range: IpRange): boolean {
  return range.version === 4
    ? range.address >> 24n === 127n && range.prefix >= 8
    : range.address === 1n && range.prefix === 128;
}

export function isMulticast(range: IpRange): boolean {
  return range.version === 4
    ? range.address >> 28n === 0xen && range.prefix >= 4
    : range.address >> 120n === 0xffn && range.prefix >= 8;
}

function parseV4(text: string): bigint | undefined {
  const octets = text.split(".");
  if (octets.length !== 4 || !octets.every((octet) => OCTET.test(octet) && Number(octet) <= 255)) return undefined;
  return octets.reduce((sum, octet) => (sum << 8n) | BigInt(octet), 0n);
}

function parseV6(text: string): bigint | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const [head = [], tail = []] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - tail.length;
  // `::` stands for at least one group; without it all eight must be there.
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const groups = [...head, ...Array<string>(missing).fill("0"), ...tail];
  if (!groups.every((group) => HEX_GROUP.test(group))) return undefined;
  return groups.reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}
