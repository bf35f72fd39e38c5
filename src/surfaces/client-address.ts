import type { IncomingMessage } from "node:http";
import { isIPv4 } from "node:net";
import { isIpAddress, isIpInRanges, type IpRange } from "../lib/ip.ts";

/** Who a request really came from, and the host that the client asked for. */
export interface ClientAddress {
  readonly ip: string | undefined;
  /** The host before the proxy; undefined where no trusted proxy says one. */
  readonly forwardedHost: string | undefined;
}

/** Longer chains are nothing that proxies of ours made. */
const HOPS_MAX = 32;

/**
 * The client's address. `X-Forwarded-*` counts only from a trusted proxy; the chain is read from its end, and the first address
 * that is not a trusted proxy is the client: what stands before it was written by the client itself.
 */
export function clientAddress(request: IncomingMessage, trustedProxies: readonly IpRange[]): ClientAddress {
  const peer = toPlainIp(request.socket.remoteAddress);
  // Without a trusted proxy, which is the rule, every request would only look into an empty list.
  const isTrusted = peer !== undefined && trustedProxies.length > 0 && isIpInRanges(peer, trustedProxies);
  if (!isTrusted) return { ip: peer, forwardedHost: undefined };
  const hops = listOf(request.headers["x-forwarded-for"]).slice(-HOPS_MAX);
  const forwardedHost = listOf(request.headers["x-forwarded-host"]).at(-1);
  return { ip: lastUntrusted(hops, peer, trustedProxies), forwardedHost };
}

function lastUntrusted(hops: readonly string[], peer: string, trusted: readonly IpRange[]): string {
  let nearest = peer;
  for (const hop of hops.toReversed()) {
    const ip = toPlainIp(hop);
    // Not an address: nothing before it can be believed, and the last hop that can is the answer.
    if (ip === undefined) return nearest;
    nearest = ip;
    if (!isIpInRanges(ip, trusted)) return ip;
  }
  return nearest;
}

/** IPv4-mapped IPv6 (a dual-stack socket's peer) as IPv4. */
function toPlainIp(text: string | undefined): string | undefined {
  if (text === undefined || isIPv4(text)) return text;
  const plain = text.replace(/^::ffff:(?=\d+\.)/i, "").replace(/%.*$/, "");
  return isIpAddress(plain) ? plain : undefined;
}

function listOf(header: string | string[] | undefined): string[] {
  const text = Array.isArray(header) ? header.join(",") : (header ?? "");
  return text
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");
}
