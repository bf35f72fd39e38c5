import { homedir, hostname } from "node:os";
import type { CoverageEntry, Facts } from "./facts.ts";
import { aggregate, type Observation, riskScore, SEVERITIES, type Severity, type SweepFinding } from "./finding.ts";
import { homeContext, outermostFirst, userOfHome } from "./homes.ts";
import { EMPTY_REGISTRY, type Registry } from "./match.ts";
import { type NetworkTargets, scanNetwork } from "./network-scan.ts";
import { createObserver } from "./observe.ts";
import { readProcesses } from "./processes.ts";
import { scanHome } from "./scan-home.ts";

export interface ScanProgress {
  readonly done: number;
  readonly total: number;
  readonly message: string;
}

export interface ScanOptions {
  /** Homes or project folders to read; default: the own home. */
  readonly paths?: readonly string[] | undefined;
  /** Processes and ports of this machine too. */
  readonly includeProcesses: boolean;
  /** Declared networks; nothing else is ever contacted. */
  readonly network?: NetworkTargets | undefined;
  readonly registry?: Registry | undefined;
  readonly hashKey: string;
  readonly device?: string | undefined;
  /** Folder that stands for the machine's root, for tests and for mounted disks. */
  readonly root?: string | undefined;
  readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Counts over one list: what is shown is what was found. */
export interface ScanSummary {
  readonly configs: number;
  readonly servers: number;
  readonly skills: number;
  readonly agents: number;
  readonly findings: Readonly<Record<Severity, number>>;
  readonly risk: number;
}

export interface ScanAnswer {
  readonly summary: ScanSummary;
  readonly findings: readonly SweepFinding[];
  readonly coverage: readonly CoverageEntry[];
}

/** Looks at what it was pointed to and judges it. Starts no server, writes nothing, contacts declared networks only. */
export async function runScan(options: ScanOptions): Promise<ScanAnswer> {
  const steps = await stepsOf(options);
  const observe = createObserver(options.registry ?? EMPTY_REGISTRY, options.hashKey);
  const device = options.device ?? hostname();
  const observations: Observation[] = [];
  const gathered: Facts[] = [];
  for (const [index, step] of steps.entries()) {
    options.signal?.throwIfAborted();
    options.onProgress?.({ done: index, total: steps.length, message: step.message });
    const facts = await step.run();
    gathered.push(facts);
    observations.push(...observe(facts, { device, user: step.user }));
  }
  options.signal?.throwIfAborted();
  options.onProgress?.({ done: steps.length, total: steps.length, message: "done" });
  const findings = aggregate(observations);
  return { summary: summarize(gathered, findings), findings, coverage: gathered.flatMap((facts) => facts.coverage) };
}

interface Step {
  readonly message: string;
  readonly user?: string | undefined;
  readonly run: () => Promise<Facts>;
}

async function stepsOf({ paths, includeProcesses, network, root, signal }: ScanOptions): Promise<Step[]> {
  const seen = new Set<string>();
  const homes = (await outermostFirst(paths ?? [homedir()])).map((home): Step => {
    const run = (): Promise<Facts> => scanHome({ ...homeContext(home, root), seen, signal });
    return { message: `reading ${home}`, user: userOfHome(home), run };
  });
  const processes: Step[] = includeProcesses
    ? [{ message: "reading processes and ports", run: () => readProcesses({ signal }) }]
    : [];
  const networks: Step[] =
    network === undefined ? [] : [{ message: "probing declared networks", run: () => scanNetwork(network, signal) }];
  return [...homes, ...processes, ...networks];
}

function summarize(gathered: readonly Facts[], findings: readonly SweepFinding[]): ScanSummary {
  const count = (pick: (facts: Facts) => number): number => gathered.reduce((sum, facts) => sum + pick(facts), 0);
  const [critical, high, medium, low, info] = SEVERITIES.map(
    (severity) => findings.filter((found) => found.severity === severity).length,
  );
  return {
    configs: count((facts) => facts.configsRead),
    servers: count((facts) => facts.servers.length),
    skills: count((facts) => facts.skills.length),
    agents: count((facts) => facts.installs.length),
    findings: { critical: critical ?? 0, high: high ?? 0, medium: medium ?? 0, low: low ?? 0, info: info ?? 0 },
    risk: riskScore(findings),
  };
}
