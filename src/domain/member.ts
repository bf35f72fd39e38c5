import type { Role } from "./role.ts";

export const MEMBER_STATUSES = ["active", "invited", "suspended"] as const;
export type MemberStatus = (typeof MEMBER_STATUSES)[number];

/** A person of the organization. `source` says who keeps the record: this installation or an identity provider. */
export interface Member {
  readonly id: string;
  readonly email: string;
  readonly name: string;
  readonly role: Role;
  readonly status: MemberStatus;
  readonly source: "local";
  /** Ids of groups. */
  readonly groups: readonly string[];
  readonly version: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** A named set of agents, servers and members. It comes into being by being named. */
export interface Group {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
}
