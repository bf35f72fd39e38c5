import { z } from "zod";
import type { Group } from "../../../domain/member.ts";
import type { Ref } from "../../../domain/names.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { GroupRepository } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText } from "./matching.ts";
import { countUpTo, toPage } from "./pages.ts";
import type { Noun } from "../../../domain/not-found.ts";
import { taken } from "./refusals.ts";

const NOUN: Noun = { singular: "group", listedBy: "list_groups" };

const storedGroup = z.object({ id: z.string(), name: z.string(), createdAt: z.number() });

export class SqlGroupRepository implements GroupRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async find(ref: Ref): Promise<Group | undefined> {
    const groups = this.#context.db.selectFrom("groups").selectAll();
    const found = isUuid(ref) ? groups.where("id", "=", ref.toLowerCase()) : groups.where("name", "=", ref);
    const row = await found.executeTakeFirst();
    return row === undefined ? undefined : storedGroup.parse(row);
  }

  async byIds(ids: readonly string[]): Promise<readonly Group[]> {
    if (ids.length === 0) return [];
    const rows = await this.#context.db.selectFrom("groups").selectAll().where("id", "in", ids).execute();
    return rows.map((row) => storedGroup.parse(row));
  }

  async list(query: string | undefined, page: PageRequest): Promise<Page<Group>> {
    let groups = this.#filtered(query).selectAll();
    if (page.after !== undefined) groups = groups.where("id", ">", page.after);
    const rows = await groups
      .orderBy("id")
      .limit(page.limit + 1)
      .execute();
    return toPage(page, {
      items: rows.map((row) => storedGroup.parse(row)),
      count: await countUpTo(this.#context.db, this.#filtered(query)),
      keyOf: (group) => group.id,
    });
  }

  async insert(group: Group): Promise<void> {
    if ((await this.find(group.name)) !== undefined) throw taken(NOUN, "name", group.name);
    await this.#context.db
      .insertInto("groups")
      .values({ id: group.id, name: group.name, createdAt: group.createdAt })
      .execute();
    this.#context.touch({ kind: "group", id: group.id });
  }

  #filtered(query: string | undefined) {
    const groups = this.#context.db.selectFrom("groups");
    return query === undefined ? groups : groups.where((eb) => containsText([eb.ref("name")], query));
  }
}
