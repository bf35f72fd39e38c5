import { z } from "zod";
import type { Member } from "../../domain/member.ts";
import { defineOperation } from "../define-operation.ts";
import { RefField, RoleField, text } from "../fields.ts";
import { resolveGroups } from "../groups.ts";
import { findMemberFacts } from "./member-facts.ts";
import { MemberOutput, showMember } from "./member-output.ts";
import { refuseWiderRole } from "./member-rights.ts";

/** Adds a person, who can own agents, be named by policies and answer for keys. */
export const inviteMember = defineOperation({
  name: "invite_member",
  title: "Invite member",
  description:
    "Adds a person to the organization with a role and groups. The member can own agents and answer for API keys at once. Returns the member.",
  route: "POST /members",
  command: "members invite",
  roles: ["owner", "admin"],
  effect: "write",
  isCreation: true,
  action: "member.invite",
  input: z.object({
    email: z.email("must be an email address").max(254).describe("Unique address of the person"),
    name: text(200).min(1).describe("Name of the person"),
    role: RoleField.describe("What the member may do; at most what the caller may"),
    groups: z.array(RefField).max(100).optional().describe("Groups; a new name makes a group"),
  }),
  output: z.object({ member: MemberOutput }),
  async handle(input, context) {
    const { repositories, services, caller, now } = context;
    refuseWiderRole(input.role, caller);
    const member: Member = {
      id: services.newId(),
      email: input.email.toLowerCase(),
      name: input.name,
      role: input.role,
      status: "invited",
      source: "local",
      groups: await resolveGroups(input.groups ?? [], context),
      version: 1,
      createdAt: now,
      updatedAt: now,
    };
    await repositories.members.insert(member);
    return { member: showMember(member, await findMemberFacts([member], context)) };
  },
  event: ({ member }) => ({
    resource: { type: "member", id: member.id, name: member.email },
    details: { role: member.role, groups: member.groups },
  }),
  summarize: ({ member }) => `Member ${member.id} is invited with role ${member.role}.`,
});
