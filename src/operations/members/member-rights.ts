import type { Caller } from "../context.ts";
import { isRoleWithin, type Role } from "../../domain/role.ts";
import { AppError } from "../../lib/errors.ts";

/** Throws `forbidden` where a caller gives or takes a role beyond its own. */
export function refuseWiderRole(role: Role, caller: Caller): void {
  if (isRoleWithin(role, caller.role)) return;
  throw new AppError(
    "forbidden",
    `a caller with role \`${caller.role}\` does not manage members with role \`${role}\``,
    {
      details: { field: "role" },
    },
  );
}
