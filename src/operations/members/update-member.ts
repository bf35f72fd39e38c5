import { z } from "zod";
import type { Member } from "../../domain/member.ts";
import { defineOperation } from "../define-operation.ts";
import { ExpectedVersionField, RefField, RoleField, text } from "../fields.ts";
import { resolveGroups } from "../groups.ts";
import { requireOwnerKey } from "../require-owner-key.ts";
import { requireVersion } from "../require-version.ts";
import { findMemberFacts } from "./member-facts.ts";
import { MemberOutput, showMember } from "./member-output.ts";
import { refuseWiderRole } from "./member-rights.ts";

const NOT_CHANGES: ReadonlySet<string> = new Set(["id", "expectedVersion"]);

/** Changes a member's name, role, groups or status. */
export const updateMember = defineOperation({
  name: "update_member",
  title: "Update member",
  description:
    "Changes a member: name, role, groups, or status (`suspended` stops every key the member answers for). Returns the member.",
  route: "PATCH /members/{id}",
  command: "members update",
  roles: ["owner", "admin"],
  effect: "write",
  action: "member.update",
  input: z.object({
    id: RefField.describe("Member, by id or email"),
    name: text(200).min(1).optional().describe("Name of the person"),
    role: RoleField.optional().describe("What the member may do; keys beyond it stop working"),
    groups: z.array(RefField).max(100).optional().describe("Groups; a new name makes a group"),
    status: z.enum(["active", "suspended"]).optional().describe("A suspended member's keys are refused"),
    expectedVersion: ExpectedVersionField,
  }),
  output: z.object({ member: MemberOutput }),
  async handle(input, context) {
    const { repositories, caller, now } = context;
    const current = await repositories.members.get(input.id);
    requireVersion(current, input.expectedVersion);
    refuseWiderRole(current.role, caller);
    if (input.role !== undefined) refuseWiderRole(input.role, caller);
    const changed: Member = {
      ...current,
      name: input.name ?? current.name,
      role: input.role ?? current.role,
      groups: input.groups === undefined ? current.groups : await resolveGroups(input.groups, context),
      status: input.status ?? current.status,
      version: current.version + 1,
      updatedAt: now,
    };
    await repositories.members.save(changed);
    if (isActingOwner(current) && !isActingOwner(changed)) await requireOwnerKey(context);
    return { member: showMember(changed, await findMemberFacts([changed], context)) };
  },
  event: ({ member }, input) => ({
    resource: { type: "member", id: member.id, name: member.email },
    details: {
      changed: Object.keys(input).filter((field) => !NOT_CHANGES.has(field)),
      role: member.role,
      status: member.status,
    },
  }),
  summarize: ({ member }) =>
    `Member ${member.id} is at version ${member.version}, ${member.status}, role ${member.role}.`,
});

function isActingOwner({ role, status }: Member): boolean {
  return role === "owner" && status !== "suspended";
}
