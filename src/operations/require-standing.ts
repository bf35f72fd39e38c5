import { checkMember } from "../auth/check-member.ts";
import { keyStatus } from "../domain/api-key.ts";
import { AppError } from "../lib/errors.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import type { Repositories } from "../store/ports.ts";
import type { Caller } from "./context.ts";

/** What tells whether a caller would be let in: the view, or its rows. */
type Standing = Pick<Snapshot, "isBehind" | "keyById" | "memberById">;

/**
 * Throws `unauthenticated` for a caller that would not be let in any more: whoever holds a stolen key chooses how long its request takes, and a key that
 * ended meanwhile MUST NOT change or read anything. Throws `unavailable` where the view cannot tell.
 */
export function requireStanding(
  { actor, role }: Caller,
  { isBehind, keyById, memberById }: Standing,
  nowMs: number,
): void {
  if (!isKey(actor)) return;
  if (isBehind)
    throw new AppError("unavailable", "the latest changes could not be read from the database; try again in a moment");
  const key = keyById.get(actor.id);
  if (key !== undefined && keyStatus(key, nowMs) === "active") {
    const checked = checkMember(key, { memberById });
    if (checked.ok && checked.role === role) return;
  }
  throw new AppError("unauthenticated", "this key is not accepted here any more; use an active one");
}

/**
 * The caller's rows as a change sees them that is about to be made. It MUST be judged by them: the view shows a revocation only after
 * the next writer's turn has begun.
 */
export async function readStanding(
  { actor }: Caller,
  { apiKeys, members }: Repositories,
): Promise<Omit<Standing, "isBehind">> {
  const key = isKey(actor) ? await apiKeys.find(actor.id) : undefined;
  const memberId = key?.memberId ?? undefined;
  const member = memberId === undefined ? undefined : await members.find(memberId);
  return { keyById: byId(key), memberById: byId(member) };
}

function isKey({ type }: Caller["actor"]): boolean {
  return type === "key" || type === "device";
}

function byId<T extends { readonly id: string }>(found: T | undefined): ReadonlyMap<string, T> {
  return new Map(found === undefined ? [] : [[found.id, found]]);
}
