import type { Member } from "../../domain/member.ts";
import type { HandleContext } from "../context.ts";
import { groupNames } from "../groups.ts";

/** What is shown of members beside their own rows, by their ids. */
export interface MemberFacts {
  readonly agentCounts: ReadonlyMap<string, number>;
  readonly keyCounts: ReadonlyMap<string, number>;
  /** When a key that they answer for was last used. */
  readonly lastActiveAt: ReadonlyMap<string, number>;
  readonly groupNames: ReadonlyMap<string, string>;
}

/** The facts of a page of members, in as many queries as for one. */
export async function findMemberFacts(members: readonly Member[], context: HandleContext): Promise<MemberFacts> {
  const { repositories, now } = context;
  const ids = members.map(({ id }) => id);
  const groupIds = members.flatMap(({ groups }) => groups);
  return {
    agentCounts: await repositories.agents.countByOwner(ids),
    keyCounts: await repositories.apiKeys.countByMember(ids, now),
    lastActiveAt: await findLastActive(ids, context),
    groupNames: await groupNames(repositories, groupIds),
  };
}

/** The uses of the last minute are in memory only: a row is written at most once a minute. */
async function findLastActive(
  memberIds: readonly string[],
  { repositories, services }: HandleContext,
): Promise<ReadonlyMap<string, number>> {
  const times = new Map(await repositories.apiKeys.lastUsedByMember(memberIds));
  const isMeant = new Set(memberIds);
  for (const { id, memberId } of services.snapshot().keyById.values()) {
    if (memberId === null || !isMeant.has(memberId)) continue;
    const pendingAt = services.pendingKeyUse(id)?.last?.at;
    if (pendingAt !== undefined) times.set(memberId, Math.max(pendingAt, times.get(memberId) ?? 0));
  }
  return times;
}
