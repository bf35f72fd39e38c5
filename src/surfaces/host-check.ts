import type { IncomingMessage } from "node:http";
import { AppError } from "../lib/errors.ts";
import { isIpAddress } from "../lib/ip.ts";

/** The names under which clients may reach this server; a page that rebinds its own name to our address is not one of them. */
export interface AllowedHosts {
  /** Lower case, without port; IPv6 without brackets. */
  readonly names: ReadonlySet<string>;
  /** Listening on every interface: any literal address is ours then. A rebinding attack needs a name, never an address. */
  readonly anyAddress: boolean;
  /** Host headers that were found good before, as written: clients send the same one with every request. */
  readonly remembered: Set<string>;
}

/** More spellings of our own names are only checked again. */
const REMEMBERED_MAX = 64;

const LOOPBACK = ["localhost", "127.0.0.1", "::1"];
const EVERY_INTERFACE = new Set(["0.0.0.0", "::"]);

/** The bound address, the spellings of localhost where it is loopback or everything, and the public URL's host. */
export function toAllowedHosts(host: string, publicUrl: string): AllowedHosts {
  const anyAddress = EVERY_INTERFACE.has(host);
  const isLoopback = LOOPBACK.includes(host) || host.startsWith("127.");
  const names = [host, new URL(publicUrl).hostname, ...(anyAddress || isLoopback ? LOOPBACK : [])];
  return { names: new Set(names.map(normalize)), anyAddress, remembered: new Set() };
}

/** Throws `forbidden` for a Host, or an Origin where there is one, that is not ours (DNS rebinding, cross-site requests), `invalid_input` for several. */
export function checkHost(request: IncomingMessage, allowed: AllowedHosts, forwardedHost: string | undefined): void {
  // RFC 9112 §3.2: with several, a proxy before us may have looked at another one.
  if (countHosts(request) > 1) {
    throw new AppError("invalid_input", "the request names several Hosts; send one");
  }
  const host = forwardedHost ?? request.headers.host;
  if (host === undefined || !isAllowedHost(host, allowed)) {
    throw new AppError(
      "forbidden",
      "this server does not answer under this Host; use its own address, or set RUNLAYER_PUBLIC_URL to the name that clients use",
    );
  }
  const { origin } = request.headers;
  if (origin !== undefined && !isAllowed(hostnameOf(origin), allowed)) {
    throw new AppError("forbidden", "requests of this Origin are not accepted");
  }
}

function countHosts({ rawHeaders }: IncomingMessage): number {
  let count = 0;
  for (let at = 0; at < rawHeaders.length; at += 2) if (rawHeaders[at]?.toLowerCase() === "host") count += 1;
  return count;
}

function isAllowedHost(host: string, allowed: AllowedHosts): boolean {
  const { remembered } = allowed;
  if (remembered.has(host)) return true;
  if (!isAllowed(hostnameOf(`http://${host}`), allowed)) return false;
  if (remembered.size < REMEMBERED_MAX) remembered.add(host);
  return true;
}

function isAllowed(hostname: string | undefined, { names, anyAddress }: AllowedHosts): boolean {
  if (hostname === undefined) return false;
  return names.has(hostname) || (anyAddress && isIpAddress(hostname));
}

/** Undefined for what is not a plain `host[:port]`, such as one with a user or a path in it. */
function hostnameOf(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined;
  const { hostname, username, pathname, search, hash, protocol } = new URL(text);
  const isPlain = username === "" && pathname === "/" && search === "" && hash === "" && protocol.startsWith("http");
  return isPlain && hostname !== "" ? normalize(hostname) : undefined;
}

function normalize(hostname: string): string {
  return hostname.toLowerCase().replaceAll(/^\[|\]$|\.$/g, "");
}
