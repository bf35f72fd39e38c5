/** Roles of members and organization keys (contract section 2), the most powerful first. */
export const ROLES = ["owner", "admin", "security", "operator", "auditor", "scanner", "member"] as const;

export type Role = (typeof ROLES)[number];

/**
 * The roles whose rights a role has in full. Nobody grants, edits or revokes a key or a member outside this set, so that no
 * caller can reach rights through another identity that it lacks itself.
 */
const ROLES_WITHIN: Readonly<Record<Role, readonly Role[]>> = {
  owner: ROLES,
  admin: ["admin", "security", "operator", "auditor", "scanner", "member"],
  security: ["security", "auditor", "scanner", "member"],
  operator: ["operator", "member"],
  auditor: ["auditor", "member"],
  scanner: ["scanner"],
  member: ["member"],
};

/** Roles that read every object of the organization. */
export const READERS: readonly Role[] = ["owner", "admin", "security", "operator", "auditor"];

/** `security` and above: the roles that guard policies, quarantine, network exceptions and approvals. */
export const GUARDIANS: readonly Role[] = ["owner", "admin", "security"];

export function isRoleWithin(role: Role, ceiling: Role): boolean {
  return ROLES_WITHIN[ceiling].includes(role);
}

export function isGuardian(role: Role): boolean {
  return GUARDIANS.includes(role);
}
