import { randomBytes } from "node:crypto";
import { isAtLeast, type Severity, toOperation } from "./finding.ts";
import { runScan, type ScanAnswer, type ScanProgress } from "./run-scan.ts";
import { toSarif } from "./sarif.ts";
import { toTable } from "./scan-table.ts";

export type ScanForm = "table" | "json" | "sarif";

export interface ScanCommandOptions {
  /** Homes or project folders; none means this machine: the own home, processes and ports. */
  readonly paths: readonly string[];
  readonly form: ScanForm;
  /** The lowest severity that makes the exit code 1. */
  readonly failOn: Severity;
  readonly networks?: readonly string[] | undefined;
  readonly ports?: readonly number[] | undefined;
  readonly allowPublic?: boolean | undefined;
}

export interface ScanCommandIo {
  readonly out: (text: string) => void;
  /** Undefined where nobody watches. */
  readonly onProgress?: ((progress: ScanProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** `runlayer scan` without a server: everything is unregistered. Answers the exit code: 0 clean, 1 found something. */
export async function runScanCommand(options: ScanCommandOptions, io: ScanCommandIo): Promise<0 | 1> {
  const answer = await scan(options, io);
  io.out(render(answer, options.form));
  return answer.findings.some(({ severity }) => isAtLeast(severity, options.failOn)) ? 1 : 0;
}

function scan({ paths, networks, ports, allowPublic }: ScanCommandOptions, io: ScanCommandIo): Promise<ScanAnswer> {
  return runScan({
    paths: paths.length > 0 ? paths : undefined,
    includeProcesses: paths.length === 0,
    network: networks === undefined || networks.length === 0 ? undefined : { networks, ports, allowPublic },
    // Nothing is kept between two runs without a server, so hashes need not be comparable; a fresh key leaves nothing to guess.
    hashKey: randomBytes(32).toString("hex"),
    signal: io.signal,
    onProgress: io.onProgress,
  });
}

function render(answer: ScanAnswer, form: ScanForm): string {
  if (form === "sarif") return `${JSON.stringify(toSarif(answer.findings), null, 2)}\n`;
  if (form === "table") return toTable(answer);
  const findings = answer.findings.map(({ fix, ...finding }) => ({
    ...finding,
    // Without a server there is no stored finding to update: only a registration can be offered.
    operation: fix.kind === "register" ? toOperation(fix, "") : undefined,
  }));
  return `${JSON.stringify({ ...answer, findings }, null, 2)}\n`;
}
