import { basename } from "node:path";
import { AppError } from "../../lib/errors.ts";
import type { CoverageEntry, Facts } from "../../sweep/facts.ts";
import { outermostFirst } from "../../sweep/homes.ts";
import { createMachineAgents, type MachineAgents } from "../../sweep/observe-agent.ts";
import type { Observer } from "../../sweep/observe.ts";
import { homePlace, networkPlace, processesPlace } from "./place.ts";
import type { SweepHost } from "./ports.ts";
import type { ScanPlan } from "./scan-plan.ts";
import { mergeSightings, type Sightings, unreadTarget } from "./sightings.ts";

interface HostScanOptions {
  readonly host: SweepHost;
  readonly observe: Observer;
  readonly signal: AbortSignal;
}

/** What the places of this machine share while it is scanned. */
interface HostSoFar {
  readonly seen: Set<string>;
  readonly agents: MachineAgents;
}

/** One home or project folder of this machine. What is no folder says nothing about what was there before. */
export async function scanHostHome(
  path: string,
  { host, observe, signal }: HostScanOptions,
  { seen, agents }: HostSoFar,
): Promise<Sightings> {
  const place = homePlace(host.device, path);
  try {
    const facts = await host.readHome(path, { seen, signal });
    const origin = { device: host.device, user: basename(path) };
    const own = facts.coverage.find((entry) => entry.place === path);
    const isComplete = own?.status === "read" || own?.isRepeatable === true;
    return {
      observations: observe(facts, origin, agents).map((observation) => ({ ...observation, place })),
      read: isComplete ? [place] : [],
      unread: facts.coverage.filter((entry) => entry !== own).map((entry) => ({ place, path: entry.place })),
      coverage: facts.coverage.map(toCoverage),
      counts: countsOf(facts),
    };
  } catch (error) {
    if (error instanceof AppError) return unreadTarget("host", path, error.message);
    throw error;
  }
}

/** Processes and listening ports of this machine. */
export async function scanHostProcesses(
  { host, observe, signal }: HostScanOptions,
  agents: MachineAgents,
): Promise<Sightings> {
  const facts = await host.readProcesses(signal);
  const place = processesPlace(host.device);
  const observations = observe(facts, { device: host.device }, agents);
  return {
    observations: observations.map((observation) => ({ ...observation, place })),
    read: signal.aborted || facts.coverage.some(isGapInProcesses) ? [] : [place],
    unread: [],
    coverage: facts.coverage.map(toCoverage),
    counts: countsOf(facts),
  };
}

/** The declared networks: each port of each address is a place of its own. */
export async function scanNetworks(
  { hosts, ports, networks }: ScanPlan,
  { host, observe, signal }: HostScanOptions,
): Promise<Sightings> {
  const facts = await host.probeNetwork({ networks: hosts, ports }, signal);
  const alone: Facts[] = [
    ...facts.servers.map((server) => ({ ...facts, servers: [server], installs: [] })),
    ...facts.installs.map((install) => ({ ...facts, servers: [], installs: [install] })),
  ];
  const observations = alone.flatMap((one) => {
    const place = placeOfUrl(one.servers[0]?.url ?? one.installs[0]?.path ?? "");
    return observe(one, {}).map((observation) => ({ ...observation, place }));
  });
  const answered = facts.servers.length + facts.installs.length;
  const status = signal.aborted ? "partial" : "read";
  const reason = signal.aborted ? "stopped before the end" : undefined;
  const addresses = `${String(hosts.length)} addresses, ${String(ports.length)} ports, ${String(answered)} found`;
  return {
    observations,
    read: signal.aborted ? [] : hosts.flatMap((address) => ports.map((port) => networkPlace(address, port))),
    unread: [],
    coverage: networks.map((place) => ({ target: "network", place, status, reason: reason ?? addresses })),
    counts: countsOf(facts),
  };
}

/** Everything of this machine and the networks that a plan names, in turn. */
export async function scanHere(
  plan: ScanPlan,
  options: HostScanOptions,
  onStep: (message: string) => void,
): Promise<Sightings> {
  const parts: Sightings[] = [];
  const soFar: HostSoFar = { seen: new Set(), agents: createMachineAgents() };
  for (const path of await outermostFirst(plan.paths)) {
    onStep("reading a home");
    const isLate = options.signal.aborted;
    const part = isLate ? unreadTarget("host", path, "the time was over") : await scanHostHome(path, options, soFar);
    if (part.read.length === 0) soFar.agents.hasUnreadHome = true;
    parts.push(part);
  }
  if (plan.targets.includes("host")) {
    onStep("reading processes and ports");
    parts.push(await scanHostProcesses(options, soFar.agents));
  }
  if (plan.targets.includes("network")) {
    onStep("probing declared networks");
    parts.push(await scanNetworks(plan, options));
  }
  return mergeSightings(parts);
}

function isGapInProcesses({ target, status }: CoverageEntry): boolean {
  return target === "processes" && status !== "read";
}

function placeOfUrl(text: string): string {
  if (!URL.canParse(text)) return networkPlace(text, 0);
  const { hostname, port, protocol } = new URL(text);
  const standard = protocol === "https:" || protocol === "wss:" ? 443 : 80;
  return networkPlace(hostname.replace(/^\[|\]$/g, ""), port === "" ? standard : Number(port));
}

function toCoverage({ target, place, status, reason }: CoverageEntry) {
  return {
    target: target === "network" ? target : ("host" as const),
    place: target === "host" ? place : target,
    status,
    reason,
  };
}

function countsOf({ configsRead, servers, skills, installs }: Facts): Sightings["counts"] {
  return {
    configs: configsRead,
    servers: servers.length,
    skills: skills.length,
    agents: installs.length,
    devices: 0,
  };
}
