import type { Device } from "../../src/domain/device.ts";
import type { Finding } from "../../src/domain/finding.ts";
import type { Scan } from "../../src/domain/scan.ts";
import { newId } from "../../src/lib/ids.ts";

/* Valid scans, findings and devices for tests; each takes what the test is about. */

const AT = Date.UTC(2026, 0, 1);

export function aScan(given: Partial<Scan> = {}): Scan {
  return {
    id: newId(),
    status: "complete",
    targets: ["host"],
    startedAt: AT,
    finishedAt: AT + 1,
    timeoutMs: 1000,
    startedBy: { type: "key", id: newId(), name: "root" },
    summary: {
      configs: 1,
      servers: 2,
      skills: 3,
      agents: 4,
      devices: 0,
      findings: { critical: 0, high: 1, medium: 0, low: 0, info: 0 },
      new: 1,
      resolved: 0,
      risk: 60,
    },
    coverage: [],
    error: null,
    ...given,
  };
}

export function aFinding(given: Partial<Finding> = {}): Finding {
  return {
    id: newId(),
    key: newId(),
    kind: "shadow_server",
    code: "SHADOW-SERVER",
    title: "server that nobody registered",
    severity: "medium",
    confidence: 0.9,
    status: "open",
    identity: "pkg:npm/x",
    evidence: "it is there",
    remediation: "register it",
    fix: { kind: "review" },
    frameworks: [],
    instances: [{ place: "p" }],
    places: ["p"],
    devices: 1,
    users: 1,
    serverId: null,
    handling: null,
    firstSeenAt: AT,
    lastSeenAt: AT,
    resolvedAt: null,
    version: 1,
    ...given,
  };
}

export function aDevice(given: Partial<Device> = {}): Device {
  const id = newId();
  return {
    id,
    name: `device-${id.slice(-12)}`,
    description: null,
    keyId: newId(),
    platform: null,
    hostname: null,
    lastSeenAt: null,
    reportedAt: null,
    version: 1,
    createdAt: AT,
    updatedAt: AT,
    ...given,
  };
}
