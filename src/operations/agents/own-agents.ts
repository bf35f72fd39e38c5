import type { Caller } from "../context.ts";

/** Owner of nothing: the filter of a `member` key that no member answers for. */
const NOBODY = "00000000-0000-0000-0000-000000000000";

/** Whose agents are all that the caller sees anything of: for a `member` its own, for every other role no one's in particular. */
export function ownerSeen({ role, memberId }: Caller): string | undefined {
  return role === "member" ? (memberId ?? NOBODY) : undefined;
}
