import { z } from "zod";
import { MEMBER_STATUSES, type Member } from "../../domain/member.ts";
import { ROLES } from "../../domain/role.ts";
import { toRfc3339 } from "../../lib/clock.ts";

export const MemberOutput = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  groups: z.array(z.string()),
  status: z.enum(MEMBER_STATUSES),
  source: z.literal("local"),
  lastActiveAt: z.string().nullable(),
  agentCount: z.int(),
  apiKeyCount: z.int(),
  version: z.int(),
});

export function showMember(
  member: Member,
  facts: {
    readonly agentCount: number;
    readonly apiKeyCount: number;
    readonly groupNames: ReadonlyMap<string, string>;
  },
): z.output<typeof MemberOutput> {
  const { id, email, name, role, status, source, lastActiveAt, version } = member;
  return {
    id,
    email,
    name,
    role,
    status,
    source,
    version,
    groups: member.groups.map((group) => facts.groupNames.get(group) ?? group),
    lastActiveAt: lastActiveAt === null ? null : toRfc3339(lastActiveAt),
    agentCount: facts.agentCount,
    apiKeyCount: facts.apiKeyCount,
  };
}
