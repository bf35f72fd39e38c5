import { z } from "zod";
import { MEMBER_STATUSES } from "../../domain/member.ts";
import { READERS } from "../../domain/role.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, RoleField, toPageAnswer, toPageRequest } from "../fields.ts";
import { requireGroupId } from "../groups.ts";
import { findMemberFacts } from "./member-facts.ts";
import { MemberOutput, showMember } from "./member-output.ts";

/** The people of the organization. */
export const listMembers = defineOperation({
  name: "list_members",
  title: "List members",
  description:
    "Lists the members of the organization with role, groups, status, how many agents and keys they answer for, and when such a key was last used (`lastActiveAt`), oldest first.",
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
  async handle(input, context) {
    const { repositories } = context;
    const { role, status, query } = input;
    const groupId = input.group === undefined ? undefined : await requireGroupId(input.group, repositories);
    const page = await repositories.members.list({ role, status, query, groupId }, toPageRequest(input));
    const facts = await findMemberFacts(page.items, context);
    return toPageAnswer(page, (member) => showMember(member, facts));
  },
  summarize: ({ items, total }) => `${items.length} of ${total} members.`,
});
