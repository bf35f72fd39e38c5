import { checkMember } from "../auth/check-member.ts";
import { keyStatus } from "../domain/api-key.ts";
import { AppError } from "../lib/errors.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Caller } from "./context.ts";

/**
 * Throws `unauthenticated` for a caller that would not be let in any more: whoever holds a stolen key chooses how long its request takes, and a key that
 * ended meanwhile MUST NOT change or read anything. Throws `unavailable` where the view cannot tell.
 */
export function requireStanding({ actor, role }: Caller, snapshot: Snapshot, nowMs: number): void {
  if (actor.type !== "key" && actor.type !== "device") return;
  if (snapshot.isBehind)
    throw new AppError("unavailable", "the latest changes could not be read from the database; try again in a moment");
  const key = snapshot.keyById.get(actor.id);
  if (key !== undefined && keyStatus(key, nowMs) === "active") {
    const checked = checkMember(key, snapshot);
    if (checked.ok && checked.role === role) return;
  }
  throw new AppError("unauthenticated", "this key is not accepted here any more; use an active one");
}
