import { checkMember } from "../auth/check-member.ts";
import type { Member } from "../domain/member.ts";
import { AppError } from "../lib/errors.ts";
import type { HandleContext } from "./context.ts";

const KEYS_PER_PAGE = 200;

/**
 * Throws `conflict` where the change that was just made leaves no owner key that works: nobody could manage this installation any
 * more. Asks the database, not the view: two owners may be cutting off each other at the same time.
 */
export async function requireOwnerKey({ repositories, now }: HandleContext): Promise<void> {
  const filter = { kind: "organization", role: "owner", status: "active", now } as const;
  const memberById = new Map<string, Member>();
  let after: string | undefined;
  do {
    const page = await repositories.apiKeys.list(filter, { limit: KEYS_PER_PAGE, after });
    for (const key of page.items) {
      if (key.memberId !== null && !memberById.has(key.memberId)) {
        memberById.set(key.memberId, await repositories.members.get(key.memberId));
      }
      if (checkMember(key, { memberById }).ok) return;
    }
    after = page.next;
  } while (after !== undefined);
  throw new AppError(
    "conflict",
    "no owner key would work after this, and nobody could manage this installation; first make another one with create_api_key, for an owner who stays",
  );
}
