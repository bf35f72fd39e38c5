import { z } from "zod";
import { MEMBER_STATUSES } from "../../domain/member.ts";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, RoleField, toPageAnswer, toPageRequest } from "../fields.ts";
import { groupNames, requireGroupId } from "../groups.ts";
import { MemberOutput, showMember } from "./member-output.ts";

/** The people of the organization. */
export const listMembers = defineOperation({
  name: "list_members",
  title: "List members",
  description:
    "Lists the members of the organization with role, groups, status and how many agents and keys they answer for, oldest first.",
  route: "GET /members",
  command: "members list",
  roles: READERS,
  effect: "read",
  input: z.object({
    role: RoleField.optional().describe("Only members with this role"),
    status: z.enum(MEMBER_STATUSES).optional().describe("Only members with this status"),
    group: RefField.optional().describe("Only members of this group"),
    query: QueryField,
    ...pageInput,
  }),
  output: pageOutput(MemberOutput),
  async handle(input, { repositories, now }) {
    const { role, status, query } = input;
    const groupId = input.group === undefined ? undefined : await requireGroupId(input.group, repositories);
    const page = await repositories.members.list({ role, status, query, groupId }, toPageRequest(input));
    const ids = page.items.map((member) => member.id);
    const agentCounts = await repositories.agents.countByOwner(ids);
    const keyCounts = await repositories.apiKeys.countByMember(ids, now);
    const names = await groupNames(
      repositories,
      page.items.flatMap((member) => member.groups),
    );
    return toPageAnswer(page, (member) =>
      showMember(member, {
        agentCount: agentCounts.get(member.id) ?? 0,
        apiKeyCount: keyCounts.get(member.id) ?? 0,
        groupNames: names,
      }),
    );
  },
  summarize: ({ items, total }) => `${items.length} of ${total} members.`,
});
