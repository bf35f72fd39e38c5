import { type SelectQueryBuilder, type UpdateQueryBuilder, type UpdateResult, sql } from "kysely";
import type { Noun } from "../../../domain/not-found.ts";
import type { Ref } from "../../../domain/names.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Database } from "../schema.ts";
import { staleSave, taken } from "./refusals.ts";

/*
 * What the tables of aggregates have in common: `id`, mostly a unique `name`, and a `version` that each save raises by one.
 */

/** The rows, one at the most, whose id or name this is. */
export function byRef<Tables extends keyof Database, Row>(query: SelectQueryBuilder<Database, Tables, Row>, ref: Ref) {
  return isUuid(ref) ? query.where(sql.ref("id"), "=", ref.toLowerCase()) : query.where(sql.ref("name"), "=", ref);
}

/** Throws `conflict` where another row has the name. */
export async function assertNameFree<Tables extends keyof Database>(
  table: SelectQueryBuilder<Database, Tables, object>,
  noun: Noun,
  { id, name }: { readonly id: string; readonly name: string },
): Promise<void> {
  const holder = await table
    .select(sql.ref<string>("id").as("id"))
    .where(sql.ref("name"), "=", name)
    .executeTakeFirst();
  if (holder !== undefined && holder.id !== id) throw taken(noun, "name", name);
}

interface Saved {
  readonly noun: Noun;
  readonly entity: { readonly id: string; readonly version: number };
  readonly find: (id: string) => Promise<{ readonly version: number } | undefined>;
}

/** Writes the row of the version below. Throws `conflict` where another version is stored, `not_found` where none is. */
export async function saveNext<Table extends keyof Database>(
  update: UpdateQueryBuilder<Database, Table, Table, UpdateResult>,
  { noun, entity, find }: Saved,
): Promise<void> {
  const { id, version } = entity;
  const { numUpdatedRows } = await update
    .where(sql.ref("id"), "=", id)
    .where(sql.ref("version"), "=", version - 1)
    .executeTakeFirstOrThrow();
  if (numUpdatedRows === 0n) throw staleSave(noun, entity, (await find(id))?.version);
}
