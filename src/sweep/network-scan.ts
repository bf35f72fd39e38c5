import { lookup } from "node:dns/promises";
import { connect } from "node:net";
import ipaddr from "ipaddr.js";
import { AppError } from "../lib/errors.ts";
import type { CoverageEntry, DiscoveredInstall, DiscoveredServer, Facts } from "./facts.ts";
import { type ProbeFinding, probePort } from "./probe-port.ts";
import { errorCode } from "./read-bounded.ts";
import { isPrivateHost } from "./server-rules.ts";

export interface NetworkTargets {
  /** CIDRs, addresses or host names; nothing else is contacted. */
  readonly networks: readonly string[];
  readonly ports?: readonly number[] | undefined;
  /** Public addresses are refused unless someone said that these are theirs. */
  readonly allowPublic?: boolean | undefined;
}

/** Where MCP servers and local agents listen by default. */
export const DEFAULT_PORTS: readonly number[] = [
  80, 443, 3000, 3001, 5000, 6274, 6277, 7860, 8000, 8001, 8002, 8080, 8081, 8088, 8888, 9000, 9090, 18789,
];
const HOSTS_MAX = 1024;
const CONNECT_TIMEOUT_MS = 700;
const CONNECTS_AT_ONCE = 64;
const TLS_PORTS = new Set([443, 8443]);

/** Probes declared networks. More than 1 024 hosts, and public addresses without `allowPublic`, are refused as a whole, before the first packet. */
export async function scanNetwork(targets: NetworkTargets, signal?: AbortSignal): Promise<Facts> {
  const hosts = await expandTargets(targets);
  const places = hosts.flatMap((host) => (targets.ports ?? DEFAULT_PORTS).map((port) => ({ host, port })));
  const servers: DiscoveredServer[] = [];
  const installs: DiscoveredInstall[] = [];
  let answered = 0;
  await eachBounded(places, async ({ host, port }) => {
    if (signal?.aborted === true || !(await isListening(host, port))) return;
    answered += 1;
    const found = await probePort({ host, port, isTls: TLS_PORTS.has(port), signal });
    if (found?.kind === "agent")
      installs.push({ client: found.client, title: found.title, kind: "agent", path: found.url, isRunning: true });
    else if (found !== undefined) servers.push(toServer(found));
  });
  const isStopped = signal?.aborted === true;
  const coverage: CoverageEntry[] = targets.networks.map((place) => ({
    target: "network",
    place,
    status: isStopped ? "partial" : "read",
    reason: isStopped ? "stopped before the end" : `${String(answered)} of ${String(places.length)} ports answered`,
  }));
  return { servers, installs, skills: [], problems: [], coverage, configsRead: 0 };
}

function toServer(found: Exclude<ProbeFinding, { kind: "agent" }>): DiscoveredServer {
  const base = {
    source: "network",
    args: [],
    env: {},
    headers: {},
    isEnabled: true,
    autoApproved: [],
    url: found.url,
  } as const;
  if (found.kind === "protected") {
    return {
      ...base,
      name: "protected server",
      transport: "http",
      probe: { isOpen: false, toolNames: [], isDeclared: true },
    };
  }
  const { name, transport, isOpen, toolNames } = found;
  return { ...base, name, transport, probe: { isOpen, toolNames, isDeclared: true } };
}

/** The addresses of declared networks. Throws `invalid_input` for public ones, `limit_exceeded` for too many, as `scanNetwork` does. */
export async function expandTargets({ networks, allowPublic }: NetworkTargets): Promise<string[]> {
  const hosts = new Set<string>();
  for (const network of networks) {
    for (const host of await expand(network)) {
      if (allowPublic !== true && !isPrivateHost(host)) {
        throw new AppError(
          "invalid_input",
          `\`${network}\` is a public address; declare private ranges, or allow public ones if they are yours`,
        );
      }
      hosts.add(host);
    }
    if (hosts.size > HOSTS_MAX) throw tooMany();
  }
  return [...hosts];
}

async function expand(network: string): Promise<string[]> {
  if (network.includes("/")) return expandCidr(network);
  if (ipaddr.isValid(network)) return [network];
  try {
    const { address } = await lookup(network);
    return [address];
  } catch (error) {
    if (errorCode(error) === "") throw error;
    throw new AppError(
      "invalid_input",
      `\`${network}\` is neither an address, a range such as \`10.0.0.0/24\`, nor a host that resolves`,
      { cause: error },
    );
  }
}

function expandCidr(network: string): string[] {
  if (!ipaddr.isValidCIDR(network))
    throw new AppError("invalid_input", `\`${network}\` is no range; write one such as \`10.0.0.0/24\``);
  const [address, prefix] = ipaddr.parseCIDR(network);
  const bits = (address.kind() === "ipv4" ? 32 : 128) - prefix;
  if (bits > 10) throw tooMany();
  const bytes = address.toByteArray();
  const value = bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);
  const first = (value >> BigInt(bits)) << BigInt(bits);
  return Array.from({ length: 2 ** bits }, (_item, index) => toAddress(first + BigInt(index), bytes.length));
}

function toAddress(value: bigint, length: number): string {
  const bytes = Array.from({ length }, (_item, index) => Number((value >> BigInt(8 * (length - 1 - index))) & 255n));
  return ipaddr.fromByteArray(bytes).toString();
}

function tooMany(): AppError {
  return new AppError(
    "limit_exceeded",
    `a scan probes at most ${String(HOSTS_MAX)} hosts; split the ranges over several scans`,
  );
}

function isListening(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const finish = (isOpen: boolean) => (): void => {
      socket.destroy();
      resolve(isOpen);
    };
    socket.once("connect", finish(true)).once("timeout", finish(false)).once("error", finish(false));
  });
}

async function eachBounded<Item>(items: readonly Item[], run: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const work = async (): Promise<void> => {
    for (const item of queue) await run(item);
  };
  await Promise.all(Array.from({ length: CONNECTS_AT_ONCE }, work));
}
