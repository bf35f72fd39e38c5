import { CLIENTS } from "./clients.ts";
import { readContainer } from "./container-of.ts";
import type { CoverageEntry, DiscoveredInstall, DiscoveredServer, Facts } from "./facts.ts";
import { type ListeningSocket, readListening } from "./listening-sockets.ts";
import { isWildcard, reachedAt } from "./local-address.ts";
import { isCalledBridge } from "./bridges.ts";
import { type Launch, programName } from "./launch.ts";
import { parseLaunch } from "./parse-launch.ts";
import { type ProbeFinding, probePort } from "./probe-port.ts";
import { readRunning, type RunningProcess } from "./running-processes.ts";
import { isLoopback } from "./server-rules.ts";

interface ReadProcessesOptions {
  readonly signal?: AbortSignal | undefined;
  /** `/proc`, unless a test brings another. */
  readonly procFolder?: string | undefined;
}

/** A server that was seen as a process. */
interface ProcessServer extends DiscoveredServer {
  readonly pid: number;
  readonly args: readonly string[];
}

/** More ports than the servers of one machine have. */
const PROBES_MAX = 64;

/**
 * Running MCP servers and agents, and listening ports that speak MCP. Reads `/proc` on Linux, asks the operating system elsewhere; starts
 * nothing, and speaks only to own ports of processes that look like servers.
 */
export async function readProcesses({ signal, procFolder = "/proc" }: ReadProcessesOptions = {}): Promise<Facts> {
  const running = await readRunning(procFolder);
  const own = new Set([process.pid, process.ppid]);
  const servers = await inContainers(running.filter(({ pid }) => !own.has(pid)).flatMap(toServer), procFolder);
  const pids = servers.map(({ pid }) => pid);
  const { sockets, coverage } = await readListening(procFolder, pids);
  const ports = sockets.filter((socket) => socket.pids.length > 0 || socket.port === AGENT_PORT);
  const probed: ProbedSocket[] = [];
  for (const socket of ports.slice(0, PROBES_MAX)) probed.push(await probeOwn(socket, sockets, signal));
  const seen = withoutWrappers(
    servers.flatMap((server) => atItsPorts(server, probed)),
    running,
  );
  const isCut = ports.length > PROBES_MAX && coverage.status === "read";
  const portsRead: Pick<CoverageEntry, "status" | "reason"> = isCut
    ? { status: "partial", reason: `more than ${String(PROBES_MAX)} ports of servers; the first ones were probed` }
    : coverage;
  return {
    servers: [...seen, ...probed.flatMap(withoutProcess)],
    installs: await inContainers(withAnswering(agentsOf(running), probed), procFolder),
    skills: [],
    problems: [],
    coverage: [
      { target: "processes", place: "this machine", status: "read" },
      { target: "ports", place: "this machine", ...portsRead },
    ],
    configsRead: 0,
  };
}

const SERVER_WORD = /(?:^|[/@_.-])(?:mcp|modelcontextprotocol)(?:[/@_.-]|$)/i;

function toServer({ pid, argv }: RunningProcess): ProcessServer[] {
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

/** OpenClaw's gateway. */
const AGENT_PORT = 18789;

interface ProbedSocket extends ListeningSocket {
  readonly reachedAt: readonly string[];
  readonly answer: ProbeFinding | undefined;
}

/** Asks a socket of this machine what it is, at the first of the addresses where it and no other answers. */
async function probeOwn(
  socket: ListeningSocket,
  all: readonly ListeningSocket[],
  signal?: AbortSignal,
): Promise<ProbedSocket> {
  const places = reachedAt(socket, all);
  const [host] = places.map((place) => place.slice(0, place.lastIndexOf(":"))).filter((one) => one !== "localhost");
  const answer = host === undefined ? undefined : await probePort({ host, port: socket.port, signal });
  return { ...socket, reachedAt: places, answer };
}

/** A process and its port are one server: one sighting for each port that answers, or one for the process where none does. */
function atItsPorts(server: ProcessServer, probed: readonly ProbedSocket[]): ProcessServer[] {
  const held = probed.filter(({ pids }) => pids.includes(server.pid));
  const answering = held.filter(({ answer }) => answer?.kind === "mcp" || answer?.kind === "protected");
  // All its addresses, for a process is one server whatever its ports answer.
  const listensAt = held.flatMap((socket) => socket.reachedAt);
  if (answering.length === 0) return [{ ...server, port: held[0]?.port, listensAt }];
  return answering.map((socket) => ({ ...server, ...portOf(socket), listensAt }));
}

/** What listens on a known port, and whose process may not be seen. */
function withoutProcess(socket: ProbedSocket): DiscoveredServer[] {
  const { pids, answer, reachedAt: listensAt } = socket;
  if (pids.length > 0 || answer === undefined || answer.kind === "agent") return [];
  const { url } = answer;
  const name = answer.kind === "mcp" ? answer.name : "protected server";
  const unknown = { args: [], env: {}, headers: {}, isEnabled: true, autoApproved: [] };
  return [{ ...unknown, ...portOf(socket), name, url, listensAt }];
}

function portOf({
  address,
  port,
  answer,
}: ProbedSocket): Pick<DiscoveredServer, "source" | "transport" | "port" | "probe"> {
  const mcp = answer?.kind === "mcp" ? answer : undefined;
  const isOpen = mcp?.isOpen === true && !isLoopback(address);
  const probe = { isOpen, toolNames: mcp?.toolNames ?? [], isDeclared: false, isBoundToAll: isWildcard(address) };
  return { source: "port", transport: mcp?.transport ?? "http", port, probe };
}

/**
 * `npx x` runs a shell that runs `node …/x`: all are the same server, and the one that does the work is kept. One that listens does work of its own,
 * and what it starts is a server beside it, unless that is more of itself.
 */
function withoutWrappers(servers: readonly ProcessServer[], running: readonly RunningProcess[]): ProcessServer[] {
  const parentOf = new Map(running.map(({ pid, parentPid }) => [pid, parentPid]));
  const listening = new Map(servers.filter(({ source }) => source === "port").map((server) => [server.pid, server]));
  const wrappers = new Set<number>();
  const kept: ProcessServer[] = [];
  for (const server of servers) {
    const ancestors = ancestorsOf(server.pid, parentOf);
    const front = ancestors.map((pid) => listening.get(pid)).find((above) => above !== undefined);
    for (const pid of ancestors) if (!listening.has(pid)) wrappers.add(pid);
    if (listening.has(server.pid) || front === undefined) kept.push(server);
    else if (launchOf(front).name !== launchOf(server).name) kept.push(behind(server, front));
  }
  return kept.filter(({ pid }) => !wrappers.has(pid));
}

/** What a bridge leads to is reached where the bridge is. */
function behind(server: ProcessServer, front: ProcessServer): ProcessServer {
  return isCalledBridge(launchOf(front)) ? { ...server, listensAt: front.listensAt } : server;
}

function launchOf({ command = "", args }: ProcessServer): Launch {
  return parseLaunch(command, args);
}

function ancestorsOf(pid: number, parentOf: ReadonlyMap<number, number>): number[] {
  const found = new Set<number>();
  let parent = parentOf.get(pid);
  while (parent !== undefined && parent > 1 && !found.has(parent)) {
    found.add(parent);
    parent = parentOf.get(parent);
  }
  return [...found];
}

function inContainers<Found extends { readonly pid?: number | undefined }>(
  found: readonly Found[],
  procFolder: string,
) {
  return Promise.all(
    found.map(async (one) => ({
      ...one,
      container: one.pid === undefined ? undefined : await readContainer(procFolder, one.pid),
    })),
  );
}

/** An agent is told by how it answers too, whatever its process is called. */
function withAnswering(agents: readonly DiscoveredInstall[], probed: readonly ProbedSocket[]): DiscoveredInstall[] {
  const known = new Set(agents.map(({ client }) => client));
  const answering = probed.flatMap(({ answer, pids }): DiscoveredInstall[] => {
    if (answer?.kind !== "agent" || known.has(answer.client)) return [];
    known.add(answer.client);
    return [
      { client: answer.client, title: answer.title, kind: "agent", path: answer.url, isRunning: true, pid: pids[0] },
    ];
  });
  return [...agents, ...answering];
}

function agentsOf(running: readonly RunningProcess[]): DiscoveredInstall[] {
  return CLIENTS.filter(({ kind }) => kind === "agent").flatMap(({ id, title, kind, programs }) => {
    const found = running.find(({ argv }) =>
      argv.slice(0, 2).some((word) => programs.includes(programName(word).replace(/\.(?:m?js|py)$/, ""))),
    );
    return found === undefined ? [] : [{ client: id, title, kind, isRunning: true, pid: found.pid }];
  });
}
