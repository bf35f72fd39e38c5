import { type Instance, SEVERITIES, type Severity, type SweepFinding } from "./finding.ts";
import type { ScanProgress, ScanSummary } from "./run-scan.ts";

/** What the command shows of a scan, whether it judged alone or a server did. */
export interface ShownScan {
  readonly summary: Pick<ScanSummary, "configs" | "servers" | "skills" | "agents" | "findings" | "risk">;
  readonly findings: readonly ShownFinding[];
  readonly coverage: readonly {
    readonly place: string;
    readonly status: "read" | "partial" | "skipped";
    readonly reason?: string | undefined;
  }[];
}

export interface ShownFinding extends Pick<
  SweepFinding,
  "key" | "code" | "title" | "severity" | "evidence" | "remediation" | "frameworks"
> {
  readonly instances: readonly Pick<Instance, "path" | "line" | "pid" | "port" | "container">[];
}

/** A scan for people: the worst first, each with where it is and what to do, and what was not read. */
export function toTable({ summary, findings, coverage }: ShownScan): string {
  const { configs, servers, skills, agents, risk } = summary;
  const head = `${String(configs)} configurations, ${String(servers)} servers, ${String(skills)} skills, ${String(agents)} clients and agents; risk ${String(risk)} of 100`;
  const gaps = coverage.filter(({ status }) => status !== "read");
  return [
    head,
    "",
    ...findings.flatMap(findingLines),
    findings.length === 0 ? "nothing found" : countLine(summary.findings),
    ...(gaps.length === 0 ? [] : ["", "not read, or not in full:"]),
    ...gaps.slice(0, 50).map(({ place, reason }) => `  ${printable(place)}: ${printable(reason ?? "")}`),
    "",
  ].join("\n");
}

/** One line that a terminal draws over itself. */
export function progressBar({ done, total, message }: ScanProgress): string {
  const width = 20;
  const filled = total === 0 ? width : Math.round((width * done) / total);
  return `\r\u001b[K[${"#".repeat(filled)}${".".repeat(width - filled)}] ${printable(message)}${done === total ? "\n" : ""}`;
}

function findingLines({ severity, code, title, evidence, remediation, instances }: ShownFinding): string[] {
  const shown = [...new Set(instances.map(placeOf))].filter((place) => place !== "");
  return [
    `${severity.toUpperCase().padEnd(8)} ${code.padEnd(16)} ${title}`,
    `         ${printable(evidence)}`,
    ...shown.slice(0, 5).map((place) => `         at ${printable(place)}`),
    ...(shown.length > 5 ? [`         and ${String(shown.length - 5)} more places`] : []),
    ...remediation.split("\n").map((line, index) => `         ${index === 0 ? "fix: " : "     "}${printable(line)}`),
    "",
  ];
}

function placeOf({ path, line, pid, port, container }: ShownFinding["instances"][number]): string {
  if (path !== undefined) return line === undefined ? path : `${path}:${String(line)}`;
  const known = [
    pid === undefined ? "" : `pid ${String(pid)}`,
    port === undefined ? "" : `port ${String(port)}`,
    container === undefined ? "" : `in ${container}`,
  ];
  return known.filter((text) => text !== "").join(", ");
}

function countLine(counts: Readonly<Record<Severity, number>>): string {
  return SEVERITIES.map((severity) => `${String(counts[severity])} ${severity}`).join(", ");
}

/** Names come from strangers: a terminal must not obey them. */
function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]/gu, "?");
}
