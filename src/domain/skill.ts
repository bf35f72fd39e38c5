import { SEVERITIES } from "./server.ts";

/** Why a version serves or does not: `pending` waits for `security`, `blocked` was found too dangerous by its scan. */
export const SKILL_VERSION_STATES = ["approved", "pending", "blocked"] as const;
export type SkillVersionState = (typeof SKILL_VERSION_STATES)[number];

/** Of a skill as a whole. `degraded`: it serves, but something that it needs is missing or changed. */
export const SKILL_STATUSES = ["active", "degraded", "pending", "blocked"] as const;
export type SkillStatus = (typeof SKILL_STATUSES)[number];

/** The worst severity that the scan found; `none` for nothing. */
export const SKILL_RISKS = [...SEVERITIES, "none"] as const;
export type SkillRisk = (typeof SKILL_RISKS)[number];

/** A server that a skill needs: `name` is what its code calls it, `id` what it is bound to, also after a renaming. */
export interface SkillServer {
  readonly id: string;
  readonly name: string;
}

/** The part that runs. */
export interface SkillFunctionContent {
  readonly code: string;
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly outputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface SkillFileContent {
  readonly path: string;
  readonly base64: string;
}

/** All that a version is. It never changes. */
export interface SkillContent {
  readonly description: string;
  readonly instructions: string;
  readonly license?: string | undefined;
  readonly compatibility?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  readonly allowedTools?: string | undefined;
  readonly function?: SkillFunctionContent | undefined;
  readonly servers: readonly SkillServer[];
  /** Names or globs of tools; without it all tools of `servers`. */
  readonly tools?: readonly string[] | undefined;
  readonly files: readonly SkillFileContent[];
}

/** One thing that a scan found. The excerpt is text of the skill. */
export interface SkillEvidence {
  readonly rule: string;
  readonly severity: (typeof SEVERITIES)[number];
  readonly path: string;
  readonly line?: number | undefined;
  readonly excerpt: string;
}

/** A version with how it was judged. Only `state` and `approvedBy` change, once. */
export interface SkillVersion {
  readonly skillId: string;
  /** The skill's own version when this one was made: grows, with gaps. */
  readonly version: number;
  /** `sha256:<hex>` of the package: equal content, equal digest. */
  readonly digest: string;
  readonly state: SkillVersionState;
  readonly risk: SkillRisk;
  readonly evidence: readonly SkillEvidence[];
  readonly content: SkillContent;
  readonly createdBy: { readonly type: string; readonly id: string; readonly name: string };
  readonly approvedBy: { readonly type: string; readonly id: string; readonly name: string } | null;
  readonly createdAt: number;
}

/** A version without its content, for lists. */
export type SkillVersionSummary = Omit<SkillVersion, "content" | "evidence">;

/** A registered skill. What it is stands in its versions; `description` and `risk` are those of the latest. */
export interface Skill {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly risk: SkillRisk;
  readonly latestVersion: number;
  /** The version that agents get; null where none is allowed to serve. */
  readonly servingVersion: number | null;
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What audited runs say of a skill. Refused runs are in none of the counts. */
export interface SkillUsage {
  readonly total: number;
  readonly last30Days: number;
  readonly failures: number;
  readonly byAgent: readonly { readonly id: string; readonly name: string; readonly runs: number }[];
  /** Of the newest runs; null where there is none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly lastUsedAt: number | null;
}
