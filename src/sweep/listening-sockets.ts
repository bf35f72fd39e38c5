import { readdir, readlink } from "node:fs/promises";
import { endianness } from "node:os";
import ipaddr from "ipaddr.js";
import { networkConnections } from "systeminformation";
import type { CoverageEntry } from "./facts.ts";
import { errorCode } from "./read-bounded.ts";
import { readStart } from "./running-processes.ts";

/** A TCP socket that waits for connections, and which of the processes that were asked for hold it. */
export interface ListeningSocket {
  /** In its shortest form; `0.0.0.0` and `::` are every address of the machine. */
  readonly address: string;
  readonly port: number;
  readonly pids: readonly number[];
}

export interface Listening {
  readonly sockets: readonly ListeningSocket[];
  readonly coverage: Pick<CoverageEntry, "status" | "reason">;
}

/** The listening TCP sockets of this machine, with those of the given processes that hold one. */
export async function readListening(folder: string, pids: readonly number[]): Promise<Listening> {
  return process.platform === "linux" ? readProc(folder, pids) : toListening(await networkConnections(), pids);
}

/** Listening sockets come first in these tables, before what may be a million connections. */
const TABLE_BYTES_MAX = 4 * 1024 * 1024;

async function readProc(folder: string, pids: readonly number[]): Promise<Listening> {
  const tables = await Promise.all(
    // A kernel without IPv6 has no second table.
    ["tcp", "tcp6"].map((name) => readStart(`${folder}/net/${name}`, TABLE_BYTES_MAX).catch(() => "")),
  );
  if (tables.every((table) => table === "")) {
    return { sockets: [], coverage: { status: "skipped", reason: "not read: the kernel shows no table of ports" } };
  }
  const holders = new Map<string, number[]>();
  let hidden = 0;
  for (const pid of pids) {
    const inodes = await socketInodes(folder, pid);
    if (inodes === undefined) hidden += 1;
    for (const inode of inodes ?? []) holders.set(inode, [...(holders.get(inode) ?? []), pid]);
  }
  const sockets = tables
    .flatMap((table) => table.split("\n").slice(1).flatMap(parseSocket))
    .map(({ inode, address, port }) => ({ address, port, pids: holders.get(inode) ?? [] }));
  return { sockets, coverage: hidden === 0 ? { status: "read" } : { status: "partial", reason: hiddenReason(hidden) } };
}

function hiddenReason(count: number): string {
  return `no permission to see the ports of ${String(count)} server processes; scan as their user or as root`;
}

const LISTEN = "0A";

function parseSocket(line: string): { inode: string; address: string; port: number }[] {
  const fields = line.trim().split(/\s+/);
  const [addressHex = "", portHex = ""] = (fields[1] ?? "").split(":");
  const inode = fields[9];
  const address = toAddress(addressHex);
  if (fields[3] !== LISTEN || inode === undefined || address === undefined) return [];
  return [{ inode, address, port: Number.parseInt(portHex, 16) }];
}

/** The kernel writes each four bytes of an address as one number of its own byte order. */
function toAddress(hex: string): string | undefined {
  if (!/^(?:[0-9A-F]{8}|[0-9A-F]{32})$/.test(hex)) return undefined;
  const bytes = Buffer.from(hex, "hex");
  return shortest(ipaddr.fromByteArray([...(endianness() === "LE" ? bytes.swap32() : bytes)]));
}

/** An IPv4 address in the form of an IPv6 one is the IPv4 address. */
function shortest(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  return ipaddr.process(address.toString()).toString();
}

const DESCRIPTORS_MAX = 1000;

/** Undefined where they may not be seen. */
async function socketInodes(folder: string, pid: number): Promise<string[] | undefined> {
  const descriptors = `${folder}/${String(pid)}/fd`;
  try {
    const names = (await readdir(descriptors)).slice(0, DESCRIPTORS_MAX);
    const links = await Promise.all(names.map((name) => readlink(`${descriptors}/${name}`).catch(() => "")));
    return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
  } catch (error) {
    const code = errorCode(error);
    if (code === "EACCES" || code === "EPERM") return undefined;
    // The process ended meanwhile.
    if (code !== "") return [];
    throw error;
  }
}

/** What macOS and Windows tell through their own `netstat`. */
export function toListening(
  connections: readonly {
    readonly protocol: string;
    readonly localAddress: string;
    readonly localPort: string;
    readonly state: string;
    readonly pid: number;
  }[],
  pids: readonly number[],
): Listening {
  const wanted = new Set(pids);
  const listening = connections.filter(({ protocol, state }) => protocol.startsWith("tcp") && state === "LISTEN");
  const sockets = listening.flatMap(({ protocol, localAddress, localPort, pid }): ListeningSocket[] => {
    const port = Number(localPort);
    const address = parseAddress(localAddress, protocol);
    if (address === undefined || !Number.isInteger(port) || port < 1 || port > 65_535) return [];
    return [{ address, port, pids: wanted.has(pid) ? [pid] : [] }];
  });
  const hasOwners = listening.some(({ pid }) => pid > 0);
  if (hasOwners) return { sockets, coverage: { status: "read" } };
  return {
    sockets,
    coverage: { status: "skipped", reason: "not read: the system did not tell which process listens where" },
  };
}

function parseAddress(text: string, protocol: string): string | undefined {
  // macOS writes `*` for all addresses, and `tcp46` where these are both kinds.
  if (text === "*") return protocol === "tcp4" ? "0.0.0.0" : "::";
  const bare = text.replace(/^\[|\]$/g, "").replace(/%.*$/, "");
  return ipaddr.isValid(bare) ? shortest(ipaddr.parse(bare)) : undefined;
}
