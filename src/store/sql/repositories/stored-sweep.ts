import { z } from "zod";
import { DEVICE_PLATFORMS, type Device } from "../../../domain/device.ts";
import { FINDING_KINDS, FINDING_STATUSES, type Finding } from "../../../domain/finding.ts";
import { SCAN_STATUSES, SCAN_TARGETS, type Scan } from "../../../domain/scan.ts";
import { SEVERITIES } from "../../../domain/server.ts";
import type { DeviceTable, FindingTable, ScanTable } from "../sweep-tables.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";
import { jsonText } from "./json-text.ts";

/* Bodies hold what devices and files told, NUL characters too: they are JSON, where a NUL is written as an escape. */

const actor = z.object({ type: z.string(), id: z.string(), name: z.string() });
const counts = z.object({
  critical: z.number(),
  high: z.number(),
  medium: z.number(),
  low: z.number(),
  info: z.number(),
});

const storedScan = z.object({
  id: z.string(),
  status: z.enum(SCAN_STATUSES),
  targets: z.array(z.enum(SCAN_TARGETS)),
  startedAt: z.number(),
  finishedAt: z.number().nullable(),
  timeoutMs: z.number(),
  startedBy: actor,
  summary: z
    .object({
      configs: z.number(),
      servers: z.number(),
      skills: z.number(),
      agents: z.number(),
      devices: z.number(),
      findings: counts,
      new: z.number(),
      resolved: z.number(),
      risk: z.number(),
    })
    .nullable(),
  coverage: z.array(
    z.object({
      target: z.enum(SCAN_TARGETS),
      place: z.string(),
      status: z.enum(["read", "partial", "skipped"]),
      reason: z.string().optional(),
    }),
  ),
  error: z.string().nullable(),
});

const fix = z.discriminatedUnion("kind", [
  z.object({
    kind: z.literal("register"),
    name: z.string(),
    url: z.string(),
    transport: z.enum(["streamable-http", "sse"]),
    allowPrivateNetwork: z.literal(true).optional(),
  }),
  z.object({
    kind: z.literal("call"),
    tool: z.string(),
    arguments: z.record(z.string(), z.union([z.string(), z.boolean()])),
  }),
  z.object({ kind: z.literal("review") }),
]);

const storedFinding = z.object({
  id: z.string(),
  key: z.string(),
  kind: z.enum(FINDING_KINDS),
  code: z.string(),
  title: z.string(),
  severity: z.enum(SEVERITIES),
  confidence: z.number(),
  status: z.enum(FINDING_STATUSES),
  identity: z.string(),
  evidence: z.string(),
  remediation: z.string(),
  fix,
  frameworks: z.array(z.string()),
  instances: z.array(
    z.object({
      place: z.string(),
      device: z.string().optional(),
      user: z.string().optional(),
      client: z.string().optional(),
      path: z.string().optional(),
      line: z.number().optional(),
      isRunning: z.boolean().optional(),
      pid: z.number().optional(),
      port: z.number().optional(),
      container: z.string().optional(),
    }),
  ),
  places: z.array(z.string()),
  devices: z.number(),
  users: z.number(),
  serverId: z.string().nullable(),
  handling: z
    .object({
      by: actor,
      at: z.number(),
      owner: z.string().nullable(),
      reason: z.string().nullable(),
      expiresAt: z.number().nullable(),
    })
    .nullable(),
  firstSeenAt: z.number(),
  resolvedAt: z.number().nullable(),
  version: z.number(),
});

const storedFindingText = jsonText(storedFinding);

const storedDevice = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string().nullable(),
  keyId: z.string(),
  platform: z.enum(DEVICE_PLATFORMS).nullable(),
  hostname: storedForeignText.nullable(),
  lastSeenAt: z.number().nullable(),
  reportedAt: z.number().nullable(),
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

/** Throws for a row that no version of this program can have written; the others do too. */
export function toScan({ body }: Pick<ScanTable, "body">): Scan {
  return jsonText(storedScan).parse(body);
}

export function toScanRow(scan: Scan): ScanTable {
  return { id: scan.id, body: JSON.stringify(scan) };
}

export function toFinding({ body, lastSeenAt }: Pick<FindingTable, "body" | "lastSeenAt">): Finding {
  return { ...storedFindingText.parse(body), lastSeenAt };
}

export function toFindingRow(finding: Finding): FindingTable {
  const { lastSeenAt, ...rest } = finding;
  const { id, key, kind, status, serverId, handling, version, code, title, identity, evidence } = rest;
  const names = new Set(finding.instances.flatMap(({ device }) => device ?? []));
  return {
    id,
    key,
    kind,
    status,
    serverId,
    version,
    severityRank: SEVERITIES.indexOf(finding.severity),
    suppressedUntil: status === "suppressed" ? (handling?.expiresAt ?? null) : null,
    searchText: toStoredText([title, code, identity, evidence].join("\n")),
    deviceNames: toStoredText(`\n${[...names].join("\n")}\n`),
    lastSeenAt,
    body: JSON.stringify(rest),
  };
}

export function toDevice(row: DeviceTable): Device {
  return storedDevice.parse(row);
}

export function toDeviceRow(device: Device): DeviceTable {
  return { ...device, hostname: toStoredHostname(device.hostname) };
}

export function toStoredHostname(hostname: string | null): string | null {
  return hostname === null ? null : toStoredText(hostname);
}
