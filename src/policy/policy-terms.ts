/** What a policy does where it matches (contract section 5). */
export type PolicyEffect = "allow" | "deny" | "require_approval";

/** How much of a call's arguments the audit log keeps, the most protective first. */
export const AUDIT_LEVELS = ["none", "digest", "redacted", "full"] as const;

export type AuditLevel = (typeof AUDIT_LEVELS)[number];
