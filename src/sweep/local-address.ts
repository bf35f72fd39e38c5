import { createHmac } from "node:crypto";
import { readFile, readlink } from "node:fs/promises";
import { hostname, networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";
import { canonicalUrl } from "./identity.ts";
import type { ListeningSocket } from "./listening-sockets.ts";
import { isLoopback } from "./server-rules.ts";

/* Which process is reached at an address, told by its sockets alone: what a command line says about ports is never believed. */

/** The machine in its network, as those on it and around it name it. */
export interface OwnNetwork {
  /** Keyed hash; equal only for those that share one loopback. */
  readonly id: string;
  /** Its addresses but loopback, and its name. */
  readonly hosts: readonly string[];
}

/** Reads how this machine is reached. `hashKey` MUST be the same where two are compared. */
export async function readOwnNetwork(procFolder: string, hashKey: string): Promise<OwnNetwork> {
  // On Linux a container has the kernel of its host, and often a loopback of its own.
  const [boot, namespace] = await Promise.all([
    readFile(`${procFolder}/sys/kernel/random/boot_id`, "utf8").catch(() => ""),
    readlink(`${procFolder}/self/ns/net`).catch(() => ""),
  ]);
  const id = createHmac("sha256", hashKey).update([hostname(), boot, namespace].join("\0")).digest("hex").slice(0, 32);
  return { id, hosts: ownHosts() };
}

/** The addresses and the name of this machine; not loopback, and not what only one cable knows. */
export function ownHosts(): string[] {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, address }) => !internal && !address.startsWith("fe80:"))
    .map(({ address }) => ipaddr.process(address.replace(/%.*$/, "")).toString());
  return [hostname().toLowerCase(), ...new Set(addresses)];
}

/**
 * Where who connects reaches this socket and no other, each as `host:port`. Of two sockets on one port the one for the very address answers, before
 * the one for all addresses of its kind, before the one for all of both kinds.
 */
export function reachedAt(
  socket: ListeningSocket,
  all: readonly ListeningSocket[],
  hosts: readonly string[] = ownHosts(),
): string[] {
  const rivals = all.filter((other) => other.port === socket.port && rankOf(other) > rankOf(socket));
  const isReached = (address: string): boolean =>
    covers(socket, address) && !rivals.some((rival) => covers(rival, address));
  const addresses = [LOOPBACK_4, LOOPBACK_6, ...hosts, socket.address].filter((host) => ipaddr.isValid(host));
  const reached = [...new Set(addresses)].filter((address) => !isWildcard(address) && isReached(address));
  // A name leads to any address of the machine: who answers at some of them, beside another process, may not be whom it leads to.
  const others = all.filter((other) => other.port === socket.port && !isOfSame(other, socket));
  const missed = hosts.filter((host) => ipaddr.isValid(host) && !isReached(host));
  const isSole = !missed.some((address) => others.some((other) => covers(other, address)));
  const isNamed = isSole && reached.some((address) => !isLoopback(address));
  const names = isNamed ? hosts.filter((host) => !ipaddr.isValid(host)) : [];
  const hasFirst = all.some((other) => other.port === socket.port && covers(other, LOOPBACK_4));
  // `localhost` is the loopback of IPv4 where something listens there: another one on IPv6 alone must not pass for it.
  const local = reached.includes(hasFirst ? LOOPBACK_4 : LOOPBACK_6) ? ["localhost"] : [];
  return [...local, ...reached, ...names].map((host) => toPlace(host, socket.port));
}

/** Where a registered address leads, in the form of `reachedAt`; undefined for what is no address. */
export function placeOfUrl(text: string): string | undefined {
  const url = canonicalUrl(text);
  if (url === undefined) return undefined;
  const host = url.hostname.replace(/^\[|\]$/g, "").replace(/\.$/, "");
  const port = url.port === "" ? (/^(?:https|wss):$/.test(url.protocol) ? 443 : 80) : Number(url.port);
  if (ipaddr.isValid(host)) return toPlace(ipaddr.process(host).toString(), port);
  return toPlace(host.endsWith(".localhost") ? "localhost" : host, port);
}

/** What another machine says of where it listens, without what means this machine here: loopback, and this machine's own addresses. */
export function withoutOwnPlaces(places: readonly string[], { hosts }: OwnNetwork): string[] {
  return places.filter((place) => {
    const host = place.slice(0, place.lastIndexOf(":"));
    return !isLoopback(host) && !hosts.includes(host);
  });
}

const LOOPBACK_4 = "127.0.0.1";
const LOOPBACK_6 = "::1";

function toPlace(host: string, port: number): string {
  return `${host}:${String(port)}`;
}

export function isWildcard(address: string): boolean {
  return address === "0.0.0.0" || address === "::";
}

function rankOf({ address }: ListeningSocket): number {
  return address === "::" ? 0 : address === "0.0.0.0" ? 1 : 2;
}

function isOfSame(left: ListeningSocket, right: ListeningSocket): boolean {
  return left.pids.some((pid) => right.pids.includes(pid));
}

function covers({ address }: ListeningSocket, host: string): boolean {
  return address === "::" || address === host || (address === "0.0.0.0" && ipaddr.IPv4.isValid(host));
}
