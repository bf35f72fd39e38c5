import type { Severity } from "./server.ts";

export const SCAN_TARGETS = ["host", "devices", "network", "registry"] as const;
export type ScanTarget = (typeof SCAN_TARGETS)[number];

export const SCAN_STATUSES = ["running", "complete", "partial", "failed"] as const;
export type ScanStatus = (typeof SCAN_STATUSES)[number];

/** What was read, and what was not and why. */
export interface ScanCoverage {
  readonly target: ScanTarget;
  readonly place: string;
  readonly status: "read" | "partial" | "skipped";
  readonly reason?: string | undefined;
}

export interface ScanSummary {
  readonly configs: number;
  readonly servers: number;
  readonly skills: number;
  readonly agents: number;
  readonly devices: number;
  /** Open findings of this scan by severity. */
  readonly findings: Readonly<Record<Severity, number>>;
  readonly new: number;
  readonly resolved: number;
  /** 0 to 100. */
  readonly risk: number;
}

/** One sweep. `partial`: something that was asked for could not be read. */
export interface Scan {
  readonly id: string;
  readonly status: ScanStatus;
  readonly targets: readonly ScanTarget[];
  readonly startedAt: number;
  readonly finishedAt: number | null;
  readonly timeoutMs: number;
  readonly startedBy: { readonly type: string; readonly id: string; readonly name: string };
  readonly summary: ScanSummary | null;
  readonly coverage: readonly ScanCoverage[];
  readonly error: string | null;
}

/** Slack for storing the results before a scan without an end counts as lost. */
const GRACE_MS = 60_000;

/** The status as of a time: a scan whose process went away does not run for ever. */
export function scanStatus({ status, startedAt, timeoutMs }: Scan, now: number): ScanStatus {
  return status === "running" && startedAt + timeoutMs + GRACE_MS < now ? "failed" : status;
}
