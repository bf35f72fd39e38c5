import { z } from "zod";
import { MEMBER_STATUSES, type Member } from "../../domain/member.ts";
import { ROLES } from "../../domain/role.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { MemberFacts } from "./member-facts.ts";

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

export function showMember(member: Member, facts: MemberFacts): z.output<typeof MemberOutput> {
  const { id, email, name, role, status, source, version } = member;
  const lastActiveAt = facts.lastActiveAt.get(id);
  return {
    id,
    email,
    name,
    role,
    status,
    source,
    version,
    groups: member.groups.map((group) => facts.groupNames.get(group) ?? group),
    lastActiveAt: lastActiveAt === undefined ? null : toRfc3339(lastActiveAt),
    agentCount: facts.agentCounts.get(id) ?? 0,
    apiKeyCount: facts.keyCounts.get(id) ?? 0,
  };
}
