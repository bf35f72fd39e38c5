import { randomBytes } from "node:crypto";
import { AppError } from "../lib/errors.ts";
import { isAtLeast, SEVERITIES, type Severity, type SweepFinding, toOperation } from "./finding.ts";
import { runScan, type ScanAnswer, type ScanProgress } from "./run-scan.ts";
import { toSarif } from "./sarif.ts";

export interface ScanCommandOptions {
  /** Homes or project folders; none means this machine: the own home, processes and ports. */
  readonly paths?: readonly string[] | undefined;
  readonly json?: boolean | undefined;
  readonly sarif?: boolean | undefined;
  /** The lowest severity that makes the exit code 1; default `low`. */
  readonly failOn?: string | undefined;
  readonly networks?: readonly string[] | undefined;
  readonly ports?: readonly number[] | undefined;
  readonly allowPublic?: boolean | undefined;
}

export interface ScanCommandIo {
  readonly out: (text: string) => void;
  /** For the progress bar and errors; nothing that a program would parse. */
  readonly err: (text: string) => void;
  readonly isTerminal: boolean;
  readonly signal?: AbortSignal | undefined;
}

/** `runlayer scan` without a server: everything is unregistered. Answers the exit code: 0 clean, 1 found something, 2 wrong usage. */
export async function runScanCommand(options: ScanCommandOptions, io: ScanCommandIo): Promise<0 | 1 | 2> {
  const failOn = SEVERITIES.find((severity) => severity === (options.failOn ?? "low"));
  if (failOn === undefined) {
    io.err(`\`--fail-on\` must be one of ${SEVERITIES.join(", ")}\n`);
    return 2;
  }
  try {
    const answer = await scan(options, io);
    io.out(render(answer, options));
    return answer.findings.some(({ severity }) => isAtLeast(severity, failOn)) ? 1 : 0;
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    io.err(`${error.message}\n`);
    return 2;
  }
}

function scan({ paths, networks, ports, allowPublic }: ScanCommandOptions, io: ScanCommandIo): Promise<ScanAnswer> {
  const hasPaths = paths !== undefined && paths.length > 0;
  return runScan({
    paths: hasPaths ? paths : undefined,
    includeProcesses: !hasPaths,
    network: networks === undefined || networks.length === 0 ? undefined : { networks, ports, allowPublic },
    // Nothing is kept between two runs without a server, so hashes need not be comparable; a fresh key leaves nothing to guess.
    hashKey: randomBytes(32).toString("hex"),
    signal: io.signal,
    onProgress: io.isTerminal ? (progress) => io.err(progressBar(progress)) : undefined,
  });
}

function render(answer: ScanAnswer, { json, sarif }: ScanCommandOptions): string {
  if (sarif === true) return `${JSON.stringify(toSarif(answer.findings), null, 2)}\n`;
  if (json !== true) return table(answer);
  const findings = answer.findings.map(({ fix, ...finding }) => ({
    ...finding,
    // Without a server there is no stored finding to update: only a registration can be offered.
    operation: fix.kind === "register" ? toOperation(fix, "") : undefined,
  }));
  return `${JSON.stringify({ ...answer, findings }, null, 2)}\n`;
}

function table({ summary, findings, coverage }: ScanAnswer): string {
  const { configs, servers, skills, agents, risk } = summary;
  const head = `${String(configs)} configurations, ${String(servers)} servers, ${String(skills)} skills, ${String(agents)} clients and agents; risk ${String(risk)} of 100`;
  const gaps = coverage.filter(({ status }) => status !== "read");
  return [
    head,
    "",
    ...findings.flatMap(findingLines),
    findings.length === 0 ? "nothing found" : countLine(summary.findings),
    ...(gaps.length === 0 ? [] : ["", "not read, or not in full:"]),
    ...gaps.slice(0, 50).map(({ place, reason }) => `  ${printable(place)}: ${reason ?? ""}`),
    "",
  ].join("\n");
}

function findingLines({ severity, code, title, evidence, remediation, instances }: SweepFinding): string[] {
  const places = instances.flatMap(({ path, line }) =>
    path === undefined ? [] : [line === undefined ? path : `${path}:${String(line)}`],
  );
  const shown = [...new Set(places)];
  return [
    `${severity.toUpperCase().padEnd(8)} ${code.padEnd(16)} ${title}`,
    `         ${printable(evidence)}`,
    ...shown.slice(0, 5).map((place) => `         at ${printable(place)}`),
    ...(shown.length > 5 ? [`         and ${String(shown.length - 5)} more places`] : []),
    `         fix: ${printable(remediation)}`,
    "",
  ];
}

function countLine(counts: Readonly<Record<Severity, number>>): string {
  return SEVERITIES.map((severity) => `${String(counts[severity])} ${severity}`).join(", ");
}

/** Names come from strangers: a terminal must not obey them. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, "?");
}

function progressBar({ done, total, message }: ScanProgress): string {
  const width = 20;
  const filled = total === 0 ? width : Math.round((width * done) / total);
  return `\r\u001b[K[${"#".repeat(filled)}${".".repeat(width - filled)}] ${printable(message)}${done === total ? "\n" : ""}`;
}
