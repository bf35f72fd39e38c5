import { pathToFileURL } from "node:url";
import type { Severity } from "./finding.ts";
import type { ShownFinding } from "./scan-table.ts";

const LEVELS: Readonly<Record<Severity, "error" | "warning" | "note">> = {
  critical: "error",
  high: "error",
  medium: "warning",
  low: "note",
  info: "note",
};

/** The findings as SARIF 2.1.0 (OASIS), which code hosts show beside the lines. */
export function toSarif(findings: readonly ShownFinding[]): object {
  const rules = new Map(findings.map((finding) => [finding.code, toRule(finding)]));
  const results = findings.map((finding) => ({
    ruleId: finding.code,
    level: LEVELS[finding.severity],
    message: { text: `${finding.title}: ${finding.evidence}` },
    locations: finding.instances
      .slice(0, 100)
      .flatMap(({ path, line }) => (path?.startsWith("/") === true ? [toLocation(path, line)] : [])),
    partialFingerprints: { "runlayer/v1": finding.key },
  }));
  return {
    $schema: "https://json.schemastore.org/sarif-2.1.0.json",
    version: "2.1.0",
    runs: [{ tool: { driver: { name: "runlayer-sweep", rules: [...rules.values()] } }, results }],
  };
}

function toRule({ code, title, remediation, frameworks }: ShownFinding): object {
  return { id: code, shortDescription: { text: title }, help: { text: remediation }, properties: { tags: frameworks } };
}

function toLocation(path: string, line: number | undefined): object {
  const artifactLocation = { uri: pathToFileURL(path).href };
  const region = line === undefined ? {} : { region: { startLine: line } };
  return { physicalLocation: { artifactLocation, ...region } };
}
