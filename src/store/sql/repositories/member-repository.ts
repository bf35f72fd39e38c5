import { z } from "zod";
import { MEMBER_STATUSES, type Member } from "../../../domain/member.ts";
import type { Ref } from "../../../domain/names.ts";
import { ROLES } from "../../../domain/role.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { MemberFilter, MemberRepository } from "../../ports.ts";
import type { MemberTable } from "../schema.ts";
import type { RepositoryContext } from "./context.ts";
import { storedNames } from "./json-text.ts";
import { containsText, holdsId } from "./matching.ts";
import { pageById } from "./pages.ts";
import { MEMBER, notFound } from "../../../domain/not-found.ts";
import { taken } from "./refusals.ts";
import { saveNext } from "./versioned.ts";

const storedMember = z.object({
  id: z.string(),
  email: z.string(),
  name: z.string(),
  role: z.enum(ROLES),
  status: z.enum(MEMBER_STATUSES),
  source: z.literal("local"),
  groups: storedNames,
  version: z.number(),
  createdAt: z.number(),
  updatedAt: z.number(),
});

export class SqlMemberRepository implements MemberRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Member> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(MEMBER, ref);
    return found;
  }

  async find(ref: Ref): Promise<Member | undefined> {
    const key = ref.toLowerCase();
    const row = await this.#context.db
      .selectFrom("members")
      .selectAll()
      .where(isUuid(ref) ? "id" : "emailKey", "=", key)
      .executeTakeFirst();
    return row === undefined ? undefined : storedMember.parse(row);
  }

  async list(filter: MemberFilter, page: PageRequest): Promise<Page<Member>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, {
      db: this.#context.db,
      query,
      toItems: (rows) => rows.map((row) => storedMember.parse(row)),
    });
  }

  async insert(member: Member): Promise<void> {
    await this.#assertFree(member);
    await this.#context.db.insertInto("members").values(toRow(member)).execute();
    this.#context.touch({ kind: "member", id: member.id });
  }

  async save(member: Member): Promise<void> {
    await this.#assertFree(member);
    const update = this.#context.db.updateTable("members").set(toRow(member));
    await saveNext(update, { noun: MEMBER, entity: member, find: (id) => this.find(id) });
    this.#context.touch({ kind: "member", id: member.id });
  }

  async #assertFree({ id, email }: Member): Promise<void> {
    const holder = await this.find(email);
    if (holder !== undefined && holder.id !== id) throw taken(MEMBER, "email", email);
  }

  #filtered({ role, status, groupId, query }: MemberFilter) {
    let members = this.#context.db.selectFrom("members");
    if (role !== undefined) members = members.where("role", "=", role);
    if (status !== undefined) members = members.where("status", "=", status);
    if (groupId !== undefined) members = members.where((eb) => holdsId(eb.ref("groups"), groupId));
    if (query !== undefined) members = members.where((eb) => containsText([eb.ref("name"), eb.ref("email")], query));
    return members;
  }
}

function toRow(member: Member): MemberTable {
  return { ...member, emailKey: member.email.toLowerCase(), groups: JSON.stringify(member.groups) };
}
