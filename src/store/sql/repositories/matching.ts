import { type Expression, type RawBuilder, type SqlBool, type Transaction, sql } from "kysely";
import type { Database } from "../schema.ts";

/** Whether one of the columns contains the text; ASCII letters match in either case, `%` and `_` match themselves. */
export function containsText(columns: readonly Expression<string | null>[], text: string): Expression<SqlBool> {
  const pattern = `%${escapeLike(text)}%`;
  const tests = columns.map((column) => sql<SqlBool>`lower(${column}) like lower(${pattern}) escape '\\'`);
  return sql<SqlBool>`(${sql.join(tests, sql` or `)})`;
}

/** Whether the column starts with the text, case-sensitive on PostgreSQL; use it for lower-case words only. */
export function startsWith(column: Expression<string>, text: string): RawBuilder<SqlBool> {
  return sql<SqlBool>`${column} like ${`${escapeLike(text)}%`} escape '\\'`;
}

/**
 * Whether a JSON array of ids holds this one. Ids are UUIDs, so that the quoted text can be nothing else; the tables are small
 * and a join table would have to be kept in step with three aggregates.
 */
export function holdsId(column: Expression<string | null>, id: string): Expression<SqlBool> {
  return holdsJson(column, JSON.stringify(id));
}

/** The same for a JSON array of objects with an `id`, which MUST be written without blanks. */
export function holdsObject(column: Expression<string | null>, id: string): Expression<SqlBool> {
  return holdsJson(column, `"id":${JSON.stringify(id)}`);
}

/** The ids of the agents that this member answers for, as a query to look in: they can be more than a statement has parameters. */
export function agentsOf(db: Transaction<Database>, memberId: string) {
  return db.selectFrom("agents").select("id").where("owner", "=", memberId);
}

function holdsJson(column: Expression<string | null>, text: string): Expression<SqlBool> {
  return sql<SqlBool>`${column} like ${`%${escapeLike(text)}%`} escape '\\'`;
}

function escapeLike(text: string): string {
  return text.replaceAll(/[\\%_]/g, (character) => `\\${character}`);
}
