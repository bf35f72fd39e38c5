import { networkInterfaces } from "node:os";
import { canonicalAddress, classifyAddress, isLoopback } from "./address-class.ts";

/** Where this program itself listens; `host` as given to `listen`, or a public name. */
export interface OwnListener {
  readonly host: string;
  readonly port: number;
}

/**
 * Says whether a connection to `host` (name or address) and `port` would end at one of our own listeners. A listener on an
 * unspecified address has every address of this machine.
 */
export function isOwnListener(listeners: readonly OwnListener[], host: string, port: number): boolean {
  return listeners.some((listener) => listener.port === port && reaches(listener.host, bareName(host)));
}

function reaches(listenerHost: string, host: string): boolean {
  const own = bareName(listenerHost);
  if (own === host) return true;
  const isLocal = isLocalhostName(host) || isLoopback(host);
  if (isUnspecified(own)) return isLocal || isAddressOfThisMachine(host);
  if (isLocalhostName(own)) return isLocal;
  const address = canonicalAddress(own);
  if (address === undefined) return false;
  return address === canonicalAddress(host) || (isLoopback(address) && isLocalhostName(host));
}

/** `localhost` and everything below it always means this machine (RFC 6761 §6.3). */
export function isLocalhostName(host: string): boolean {
  const name = bareName(host);
  return LOCALHOST_NAMES.has(name) || name.endsWith(".localhost");
}

/** Lower case, without the brackets of an IPv6 address and the dot of a fully qualified name. */
export function bareName(host: string): string {
  return host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, "$1")
    .replace(/\.+$/, "");
}

// Names that the hosts files of common distributions give to loopback.
const LOCALHOST_NAMES = new Set(["localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"]);

function isUnspecified(host: string): boolean {
  return host === "" || classifyAddress(host).what === "an unspecified address";
}

function isAddressOfThisMachine(host: string): boolean {
  const address = canonicalAddress(host);
  if (address === undefined) return false;
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((entry) => canonicalAddress(entry.address) === address),
  );
}
