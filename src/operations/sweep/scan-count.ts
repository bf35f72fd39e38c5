import { findingStatus } from "../../domain/finding.ts";
import type { ScanSummary } from "../../domain/scan.ts";
import type { Severity } from "../../domain/server.ts";
import { riskScore } from "../../sweep/finding.ts";
import type { MergedFinding } from "./merge-findings.ts";
import type { ScanCounts } from "./sightings.ts";

/** Counts the findings of a scan as they are merged. */
export interface ScanCount {
  add(merged: MergedFinding): void;
  summary(counts: ScanCounts): ScanSummary;
}

export function createScanCount(now: number): ScanCount {
  const findings: Record<Severity, number> = { critical: 0, high: 0, medium: 0, low: 0, info: 0 };
  const changes = { new: 0, seen: 0, resolved: 0 };
  const open: { readonly severity: Severity; readonly confidence: number }[] = [];
  return {
    add({ finding, change }) {
      if (change === undefined) return;
      changes[change] += 1;
      const { severity, confidence } = finding;
      if (change === "resolved" || findingStatus(finding, now) !== "open") return;
      findings[severity] += 1;
      open.push({ severity, confidence });
    },
    summary: (counts) => ({
      ...counts,
      findings,
      new: changes.new,
      resolved: changes.resolved,
      risk: riskScore(open),
    }),
  };
}
