import { createHash } from "node:crypto";
import { frameworksOf } from "./frameworks.ts";

export const SEVERITIES = ["critical", "high", "medium", "low", "info"] as const;
export type Severity = (typeof SEVERITIES)[number];
export type FindingKind =
  | "shadow_server"
  | "shadow_agent"
  | "shadow_skill"
  | "policy_violation"
  | "security_risk"
  | "drift";

/** What would fix a finding. Nothing that a scan read from a command, arguments or environment can be expressed here. */
export type Fix =
  | {
      readonly kind: "register";
      readonly name: string;
      readonly url: string;
      readonly transport: "streamable-http" | "sse";
      readonly allowPrivateNetwork?: true | undefined;
    }
  | { readonly kind: "review" };

/** Where a rule held: one client on one device of one user. */
export interface Instance {
  readonly device?: string | undefined;
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly path?: string | undefined;
  readonly line?: number | undefined;
  readonly isRunning?: boolean | undefined;
  /** Of this moment: the next one may have another, and is the same finding. */
  readonly pid?: number | undefined;
  readonly port?: number | undefined;
  readonly container?: string | undefined;
}

/** One rule that held once. All texts are masked: they may be shown, stored and sent. */
export interface Observation {
  readonly code: string;
  readonly kind: FindingKind;
  readonly title: string;
  readonly severity: Severity;
  /** 0 to 1. */
  readonly confidence: number;
  /** What it is about, the same on every device. */
  readonly identity: string;
  readonly evidence: string;
  readonly remediation: string;
  readonly fix: Fix;
  readonly instance: Instance;
}

/** One finding for all the places where it was seen. */
export interface SweepFinding extends Omit<Observation, "instance"> {
  /** Content hash of code and identity: equal in each scan, so a later scan recognizes it. */
  readonly key: string;
  readonly frameworks: readonly string[];
  readonly instances: readonly Instance[];
  readonly devices: number;
  readonly users: number;
  /** 0 to 100. */
  readonly score: number;
}

const INSTANCES_MAX = 1000;

/** One finding for each code and identity; the worst severity and the first evidence stand for all. Sorted worst first. */
export function aggregate(observations: readonly Observation[]): SweepFinding[] {
  const groups = Map.groupBy(observations, ({ code, identity }) => findingKey(code, identity));
  return [...groups].map(([key, group]) => toFinding(key, group)).toSorted(worstFirst);
}

/** Risk of a set of findings, 0 to 100: 100 · (1 − Π(1 − weight · confidence)). A confirmed critical one is never below 80. */
export function riskScore(findings: readonly Pick<Observation, "severity" | "confidence">[]): number {
  const rest = findings.reduce(
    (product, { severity, confidence }) => product * (1 - WEIGHTS[severity] * confidence),
    1,
  );
  const hasConfirmedCritical = findings.some(
    ({ severity, confidence }) => severity === "critical" && confidence >= 0.9,
  );
  return Math.round(Math.max(100 * (1 - rest), hasConfirmedCritical ? 80 : 0));
}

/** The operation that fixes a finding (contract section 4), given the id under which it is stored. */
export function toOperation(fix: Fix, findingId: string): { tool: string; arguments: Record<string, unknown> } {
  if (fix.kind === "review") return { tool: "update_finding", arguments: { id: findingId, status: "acknowledged" } };
  const { name, url, transport, allowPrivateNetwork } = fix;
  return {
    tool: "create_mcp_server",
    arguments: { name, transport, url, ...(allowPrivateNetwork === undefined ? {} : { allowPrivateNetwork }) },
  };
}

export function isAtLeast(severity: Severity, floor: Severity): boolean {
  return SEVERITIES.indexOf(severity) <= SEVERITIES.indexOf(floor);
}

export function findingKey(code: string, identity: string): string {
  return createHash("sha256").update(`${code}\0${identity}`).digest("hex").slice(0, 32);
}

const WEIGHTS: Readonly<Record<Severity, number>> = { critical: 0.85, high: 0.6, medium: 0.3, low: 0.1, info: 0 };

function toFinding(key: string, group: readonly Observation[]): SweepFinding {
  const [first] = group.toSorted(worstFirst);
  if (first === undefined) throw new Error("invariant violated: a group has a member");
  const { instance: _instance, ...rest } = first;
  const instances = group.map((observation) => observation.instance);
  return {
    ...rest,
    key,
    frameworks: frameworksOf(first.code),
    instances: instances.slice(0, INSTANCES_MAX),
    devices: new Set(instances.map(({ device }) => device ?? "")).size,
    users: new Set(instances.map(({ user, device }) => `${device ?? ""}\0${user ?? ""}`)).size,
    score: riskScore([first]),
  };
}

function worstFirst(
  left: Pick<Observation, "severity" | "identity">,
  right: Pick<Observation, "severity" | "identity">,
): number {
  const order = SEVERITIES.indexOf(left.severity) - SEVERITIES.indexOf(right.severity);
  if (order !== 0) return order;
  return left.identity < right.identity ? -1 : Number(left.identity > right.identity);
}
