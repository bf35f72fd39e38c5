import { readdir, readFile, readlink } from "node:fs/promises";
import { processes as listProcesses } from "systeminformation";
import { CLIENTS } from "./clients.ts";
import type { CoverageEntry, DiscoveredInstall, DiscoveredServer, Facts } from "./facts.ts";
import { parseLaunch, programName } from "./parse-launch.ts";
import { probePort } from "./probe-port.ts";
import { errorCode } from "./read-bounded.ts";

interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly argv: readonly string[];
}

/**
 * Running MCP servers and agents, and listening ports that speak MCP. Reads `/proc` on Linux, asks the operating system elsewhere; starts
 * nothing, and speaks only to loopback ports of processes that look like servers.
 */
export async function readProcesses(signal?: AbortSignal, procFolder = "/proc"): Promise<Facts> {
  const isLinux = process.platform === "linux";
  const running = isLinux ? await readProc(procFolder) : await askSystem();
  const own = new Set([process.pid, process.ppid]);
  const servers = running.filter(({ pid }) => !own.has(pid)).flatMap((found) => toServer(found));
  const ports = isLinux ? await listeningPorts(procFolder, new Set(servers.flatMap(({ pid }) => pid ?? []))) : [];
  const open: DiscoveredServer[] = [];
  for (const port of ports.slice(0, 64)) open.push(...(await probeLoopback(port, servers, signal)));
  const coverage: CoverageEntry[] = [
    { target: "processes", place: "this machine", status: "read" },
    {
      target: "ports",
      place: "this machine",
      status: isLinux ? "read" : "skipped",
      reason: isLinux ? undefined : "only on linux yet",
    },
  ];
  const isListening = new Set(open.flatMap(({ pid }) => pid ?? []));
  // A process that was seen through its port is one server, not two.
  const quiet = servers.filter(({ pid }) => pid === undefined || !isListening.has(pid));
  const found = withoutWrappers([...quiet, ...open], running);
  return { servers: found, installs: agentsOf(running), skills: [], problems: [], coverage, configsRead: 0 };
}

const SERVER_WORD = /(?:^|[/@_.-])(?:mcp|modelcontextprotocol)(?:[/@_.-]|$)/i;

function toServer({ pid, argv }: RunningProcess): DiscoveredServer[] {
  const [command = "", ...args] = argv;
  const launch = parseLaunch(command, args);
  const isServer =
    launch.kind !== "cmd" &&
    (SERVER_WORD.test(launch.name) || (launch.kind === "script" && SERVER_WORD.test(args[0] ?? "")));
  if (!isServer) return [];
  const name = launch.name.split("/").at(-1) ?? launch.name;
  return [
    {
      name,
      source: "process",
      transport: "stdio",
      command,
      args,
      env: {},
      headers: {},
      isEnabled: true,
      autoApproved: [],
      pid,
    },
  ];
}

/** `npx x` runs a shell that runs `node …/x`: all are the same server, and the one that does the work is kept. */
function withoutWrappers(servers: readonly DiscoveredServer[], running: readonly RunningProcess[]): DiscoveredServer[] {
  const parentOf = new Map(running.map(({ pid, parentPid }) => [pid, parentPid]));
  const ancestors = new Set<number>();
  for (const { pid } of servers) {
    let parent = pid === undefined ? undefined : parentOf.get(pid);
    while (parent !== undefined && parent > 1 && !ancestors.has(parent)) {
      ancestors.add(parent);
      parent = parentOf.get(parent);
    }
  }
  return servers.filter(({ pid }) => pid === undefined || !ancestors.has(pid));
}

function agentsOf(running: readonly RunningProcess[]): DiscoveredInstall[] {
  return CLIENTS.filter(({ kind }) => kind === "agent").flatMap(({ id, title, kind, programs }) => {
    const found = running.find(({ argv }) =>
      argv.slice(0, 2).some((word) => programs.includes(programName(word).replace(/\.(?:m?js|py)$/, ""))),
    );
    return found === undefined ? [] : [{ client: id, title, kind, path: `pid ${String(found.pid)}`, isRunning: true }];
  });
}

async function readProc(folder: string): Promise<RunningProcess[]> {
  const pids = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
  const all = await Promise.all(pids.map((pid) => readProcess(folder, pid)));
  return all.filter((found) => found !== undefined);
}

async function readProcess(folder: string, pid: string): Promise<RunningProcess | undefined> {
  try {
    const [line, stat] = await Promise.all([
      readFile(`${folder}/${pid}/cmdline`, "utf8"),
      readFile(`${folder}/${pid}/stat`, "utf8"),
    ]);
    const argv = line
      .split("\0")
      .filter((word, index) => index === 0 || word !== "")
      .slice(0, 200);
    // The program's name stands in parentheses and may hold any character, so fields are counted after the last one.
    const parentPid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
    return line === "" ? undefined : { pid: Number(pid), parentPid, argv };
  } catch (error) {
    // The process ended meanwhile, or is another user's.
    if (errorCode(error) !== "") return undefined;
    throw error;
  }
}

async function askSystem(): Promise<RunningProcess[]> {
  const { list } = await listProcesses();
  return list.map(({ pid, parentPid, command, params }) => ({
    pid,
    parentPid,
    argv: [command, ...params.split(" ")].filter(Boolean),
  }));
}

interface ListeningPort {
  readonly port: number;
  readonly pid?: number | undefined;
  readonly isOpenToNetwork: boolean;
}

/** Listening TCP ports of processes that look like servers, and the ports that known agents use. */
async function listeningPorts(folder: string, pids: ReadonlySet<number>): Promise<ListeningPort[]> {
  const tables = await Promise.all(
    ["tcp", "tcp6"].map((name) => readFile(`${folder}/net/${name}`, "utf8").catch(() => "")),
  );
  const byInode = new Map(tables.flatMap((table) => table.split("\n").slice(1).flatMap(parseSocket)));
  const found: ListeningPort[] = [];
  for (const pid of pids) {
    for (const inode of await socketInodes(folder, pid)) {
      const socket = byInode.get(inode);
      if (socket !== undefined) found.push({ ...socket, pid });
    }
  }
  const known = [...byInode.values()].filter(({ port }) => port === AGENT_PORT);
  return [...new Map([...known, ...found].map((entry) => [entry.port, entry])).values()];
}

/** OpenClaw's gateway. */
const AGENT_PORT = 18789;
const LISTEN = "0A";

function parseSocket(line: string): [string, ListeningPort][] {
  const fields = line.trim().split(/\s+/);
  const [address = "", portHex = ""] = (fields[1] ?? "").split(":");
  const inode = fields[9];
  if (fields[3] !== LISTEN || inode === undefined) return [];
  return [[inode, { port: Number.parseInt(portHex, 16), isOpenToNetwork: /^0+$/.test(address) }]];
}

async function socketInodes(folder: string, pid: number): Promise<string[]> {
  const names = await readdir(`${folder}/${String(pid)}/fd`).catch(() => []);
  const links = await Promise.all(
    names.slice(0, 1000).map((name) => readlink(`${folder}/${String(pid)}/fd/${name}`).catch(() => "")),
  );
  return links.flatMap((link) => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []);
}

async function probeLoopback(
  { port, pid, isOpenToNetwork }: ListeningPort,
  servers: readonly DiscoveredServer[],
  signal?: AbortSignal,
): Promise<DiscoveredServer[]> {
  const answer = await probePort({ host: "127.0.0.1", port, signal });
  if (answer?.kind !== "mcp") return [];
  const { url, transport, name, isOpen, toolNames } = answer;
  const probe = { isOpen: isOpen && isOpenToNetwork, toolNames, isDeclared: false, isBoundToAll: isOpenToNetwork };
  const known = servers.find((server) => pid !== undefined && server.pid === pid);
  // A process tells more about which server it is than its port does.
  if (known !== undefined) return [{ ...known, source: "port", transport, probe }];
  return [
    {
      name,
      source: "port",
      transport,
      url,
      args: [],
      env: {},
      headers: {},
      isEnabled: true,
      autoApproved: [],
      pid,
      probe,
    },
  ];
}
