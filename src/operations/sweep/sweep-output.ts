import { z } from "zod";
import { type Finding, FINDING_KINDS, FINDING_STATUSES, findingStatus } from "../../domain/finding.ts";
import { type Scan, SCAN_STATUSES, SCAN_TARGETS, scanStatus } from "../../domain/scan.ts";
import { SEVERITIES } from "../../domain/server.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { HandleContext } from "../context.ts";
import { readyOperation } from "./finding-operation.ts";

export const SeverityCounts = z.object({
  critical: z.int(),
  high: z.int(),
  medium: z.int(),
  low: z.int(),
  info: z.int(),
});

export const ScanOutput = z.object({
  id: z.string(),
  status: z.enum(SCAN_STATUSES).describe("`partial`: something that was asked for was not read; `coverage` says what"),
  targets: z.array(z.enum(SCAN_TARGETS)),
  startedAt: z.string(),
  finishedAt: z.string().optional(),
  startedBy: z.object({ type: z.string(), id: z.string(), name: z.string() }),
  error: z.string().optional(),
});

export const ScanSummaryOutput = z.object({
  configs: z.int(),
  servers: z.int(),
  skills: z.int(),
  agents: z.int(),
  devices: z.int(),
  findings: SeverityCounts.describe("Open findings that this scan saw, by severity"),
  new: z.int().describe("Findings that no scan before it saw, or that were resolved"),
  resolved: z.int().describe("Findings that ended with this scan"),
  risk: z.int().describe("0 to 100"),
});

export const CoverageOutput = z.object({
  target: z.enum(SCAN_TARGETS),
  place: z.string(),
  status: z.enum(["read", "partial", "skipped"]),
  reason: z.string().optional(),
});

const Instance = z.object({
  device: z.string().optional(),
  user: z.string().optional(),
  client: z.string().optional(),
  path: z.string().optional(),
  line: z.int().optional(),
  isRunning: z.boolean().optional(),
  pid: z.int().optional().describe("Of the process, when it was last seen"),
  port: z.int().optional().describe("That answered, or the first that the process listened on"),
  container: z.string().optional().describe("That the process runs in: runtime and id, or name"),
});

export const FindingOutput = z.object({
  id: z.string(),
  kind: z.enum(FINDING_KINDS),
  code: z.string(),
  title: z.string(),
  severity: z.enum(SEVERITIES),
  confidence: z.number(),
  status: z.enum(FINDING_STATUSES),
  identity: z.string(),
  device: z.string().optional(),
  client: z.string().optional(),
  location: z.object({ path: z.string(), line: z.int().optional() }).optional(),
  evidence: z.string(),
  remediation: z.string(),
  operation: z
    .object({ tool: z.string(), arguments: z.record(z.string(), z.unknown()) })
    .optional()
    .describe(
      "The call that fixes it, ready for this caller; absent where the caller may do nothing about it, or it is resolved",
    ),
  frameworks: z.array(z.string()),
  instances: z.array(Instance).describe("Where it was seen, the first 100"),
  devices: z.int(),
  users: z.int(),
  server: z.string().optional().describe("Id of the registered server that it is about"),
  handling: z
    .object({
      by: z.object({ type: z.string(), id: z.string(), name: z.string() }),
      at: z.string(),
      owner: z.string().optional(),
      reason: z.string().optional(),
      expiresAt: z.string().optional(),
    })
    .optional(),
  firstSeenAt: z.string(),
  lastSeenAt: z.string(),
  resolvedAt: z.string().optional(),
  version: z.int(),
});

const INSTANCES_SHOWN = 100;

export function showScan(scan: Scan, now: number): z.output<typeof ScanOutput> {
  const { id, targets, startedAt, finishedAt, startedBy } = scan;
  const status = scanStatus(scan, now);
  const isLost = status === "failed" && scan.status === "running";
  const error = isLost ? "the process that ran it went away" : scan.error;
  return {
    id,
    status,
    targets: [...targets],
    startedAt: toRfc3339(startedAt),
    ...(finishedAt === null ? {} : { finishedAt: toRfc3339(finishedAt) }),
    startedBy,
    ...(error === null ? {} : { error }),
  };
}

/** Texts in here come from devices and files: bounded and masked when they were read. */
export function showFinding(
  finding: Finding,
  { caller, services, now }: Pick<HandleContext, "caller" | "services" | "now">,
): z.output<typeof FindingOutput> {
  const [first] = finding.instances;
  const located = finding.instances.find(({ path }) => path !== undefined);
  const operation = readyOperation(finding, caller.role, services.snapshot());
  const { id, kind, code, title, severity, confidence, identity, evidence, remediation, devices, users } = finding;
  return {
    id,
    kind,
    code,
    title,
    severity,
    confidence,
    identity,
    evidence,
    remediation,
    devices,
    users,
    status: findingStatus(finding, now),
    ...(first?.device === undefined ? {} : { device: first.device }),
    ...(first?.client === undefined ? {} : { client: first.client }),
    ...(located?.path === undefined ? {} : { location: { path: located.path, line: located.line } }),
    ...(operation === undefined ? {} : { operation }),
    frameworks: [...finding.frameworks],
    instances: finding.instances.slice(0, INSTANCES_SHOWN).map(({ place: _place, ...instance }) => instance),
    ...(finding.serverId === null ? {} : { server: finding.serverId }),
    ...showHandling(finding),
    firstSeenAt: toRfc3339(finding.firstSeenAt),
    lastSeenAt: toRfc3339(finding.lastSeenAt),
    ...(finding.resolvedAt === null ? {} : { resolvedAt: toRfc3339(finding.resolvedAt) }),
    version: finding.version,
  };
}

function showHandling({ handling }: Finding) {
  if (handling === null) return {};
  const { by, at, owner, reason, expiresAt } = handling;
  return {
    handling: {
      by,
      at: toRfc3339(at),
      ...(owner === null ? {} : { owner }),
      ...(reason === null ? {} : { reason }),
      ...(expiresAt === null ? {} : { expiresAt: toRfc3339(expiresAt) }),
    },
  };
}
