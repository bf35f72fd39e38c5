import type { ApiKey } from "../domain/api-key.ts";
import type { Member } from "../domain/member.ts";
import { isRoleWithin, type Role } from "../domain/role.ts";
import type { AuthFailure } from "./authenticate.ts";

interface Members {
  readonly memberById: ReadonlyMap<string, Member>;
}

type MemberCheck =
  | { readonly ok: true; readonly key: ApiKey; readonly role: Role }
  | { readonly ok: false; readonly reason: AuthFailure; readonly key: ApiKey };

/** A key does not outlive the rights of the member who answers for it. An invited member has not signed in yet, but may hold keys. */
export function checkMember(key: ApiKey, { memberById }: Members): MemberCheck {
  // Its role says who else may do what it does; the operations let a device no further than its reports.
  if (key.kind === "device") return { ok: true, key, role: "scanner" };
  if (key.role === null) return { ok: false, reason: "wrong_kind", key };
  if (key.memberId === null) return { ok: true, key, role: key.role };
  const member = memberById.get(key.memberId);
  if (member === undefined || member.status === "suspended") return { ok: false, reason: "member_not_active", key };
  if (!isRoleWithin(key.role, member.role)) return { ok: false, reason: "beyond_member_role", key };
  return { ok: true, key, role: key.role };
}
