import type { Severity } from "./server.ts";

export const FINDING_KINDS = [
  "shadow_server",
  "shadow_agent",
  "shadow_skill",
  "policy_violation",
  "security_risk",
  "drift",
] as const;
export type FindingKind = (typeof FINDING_KINDS)[number];

export const FINDING_STATUSES = ["open", "acknowledged", "suppressed", "resolved"] as const;
export type FindingStatus = (typeof FINDING_STATUSES)[number];

/**
 * What would fix a finding. Nothing that a scan read from a command, arguments or an environment can be said here; `call` names an
 * operation on something that is registered, by its id.
 */
export type FindingFix =
  | {
      readonly kind: "register";
      readonly name: string;
      readonly url: string;
      readonly transport: "streamable-http" | "sse";
      readonly allowPrivateNetwork?: true | undefined;
    }
  | { readonly kind: "call"; readonly tool: string; readonly arguments: Readonly<Record<string, string | boolean>> }
  | { readonly kind: "review" };

/** Where a finding was seen. All texts are masked. */
export interface FindingInstance {
  /** What a scan must have read in full to say that this is gone; see `sweep/place.ts`. */
  readonly place: string;
  readonly device?: string | undefined;
  readonly user?: string | undefined;
  readonly client?: string | undefined;
  readonly path?: string | undefined;
  readonly line?: number | undefined;
  readonly isRunning?: boolean | undefined;
  /** Of what ran when it was seen; a restart gives it another, and is no change. */
  readonly pid?: number | undefined;
  readonly port?: number | undefined;
  readonly container?: string | undefined;
}

/** What a scan said of a finding. */
export type FindingChange = "new" | "seen" | "resolved";

/** Who set a finding aside, why, and until when; null for good. */
export interface FindingHandling {
  readonly by: { readonly type: string; readonly id: string; readonly name: string };
  readonly at: number;
  readonly owner: string | null;
  readonly reason: string | null;
  readonly expiresAt: number | null;
}

/** A rule that holds somewhere: one for all devices and users, recognized again by its key in each scan. */
export interface Finding {
  readonly id: string;
  /** Hash of code and identity. */
  readonly key: string;
  readonly kind: FindingKind;
  readonly code: string;
  readonly title: string;
  readonly severity: Severity;
  /** 0 to 1. */
  readonly confidence: number;
  readonly status: FindingStatus;
  readonly identity: string;
  readonly evidence: string;
  readonly remediation: string;
  readonly fix: FindingFix;
  readonly frameworks: readonly string[];
  readonly instances: readonly FindingInstance[];
  /** Every place of every instance, those that are no longer listed too. */
  readonly places: readonly string[];
  readonly devices: number;
  readonly users: number;
  /** The registered server that it is about, if it is about one. */
  readonly serverId: string | null;
  readonly handling: FindingHandling | null;
  readonly firstSeenAt: number;
  readonly lastSeenAt: number;
  readonly resolvedAt: number | null;
  readonly version: number;
}

/** The status as of a time: a suppression ends by itself. */
export function findingStatus({ status, handling }: Pick<Finding, "status" | "handling">, now: number): FindingStatus {
  const isOver = handling?.expiresAt !== null && handling?.expiresAt !== undefined && handling.expiresAt <= now;
  return status === "suppressed" && isOver ? "open" : status;
}
