import type { NotificationSettings } from "./notifications.ts";

/** How much of a call's arguments an audit event keeps; secrets are masked in each. */
export const AUDIT_PAYLOADS = ["none", "digest", "redacted", "full"] as const;
export type AuditPayloads = (typeof AUDIT_PAYLOADS)[number];

/** When a decision must be on disk: before the message leaves for the upstream, or before its answer leaves for the agent. */
export const AUDIT_DURABILITIES = ["before-dispatch", "before-answer"] as const;
export type AuditDurability = (typeof AUDIT_DURABILITIES)[number];

/** What happens to a version of a skill by the risk that its scan found; lower risks never block. */
export const SKILL_RISK_ACTIONS = ["block", "allow"] as const;
export interface SkillRiskAction {
  readonly critical: (typeof SKILL_RISK_ACTIONS)[number];
  readonly high: (typeof SKILL_RISK_ACTIONS)[number];
}

/** Whether a version by an operator that adds code, servers or tools waits for `security` or above. */
export const SKILL_APPROVALS = ["required", "off"] as const;
export type SkillApproval = (typeof SKILL_APPROVALS)[number];

/** Settings of the organization; a setting is here once it works. */
export interface OrganizationSettings {
  readonly auditPayloads: AuditPayloads;
  readonly auditDurability: AuditDurability;
  /** Whether an assignment alone lets calls through; off, an `allow` policy must match too. */
  readonly assignmentGrantsAccess: boolean;
  /** IANA name of the zone in which policies read the time and the weekday. */
  readonly timeZone: string;
  /** How long a held call waits for a person, and then an approval for its call. */
  readonly approvalTtlMinutes: number;
  readonly skillRiskAction: SkillRiskAction;
  readonly skillApproval: SkillApproval;
  /** Null where nobody is told by webhook. */
  readonly notifications: NotificationSettings | null;
}

export const DEFAULT_SETTINGS: OrganizationSettings = {
  auditPayloads: "redacted",
  auditDurability: "before-dispatch",
  assignmentGrantsAccess: true,
  timeZone: "UTC",
  approvalTtlMinutes: 60,
  skillRiskAction: { critical: "block", high: "block" },
  skillApproval: "required",
  notifications: null,
};

/** The one organization that an installation serves. */
export interface Organization {
  readonly id: string;
  readonly name: string;
  readonly settings: OrganizationSettings;
  readonly version: number;
  /** Milliseconds since the Unix epoch, as every time inside the program. */
  readonly createdAt: number;
  readonly updatedAt: number;
}
