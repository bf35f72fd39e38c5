import type { SchemaStep } from "./migrations.ts";

/** Tools that a server lists no more are kept with what was accepted of them. */
export async function keepAbsentTools({ db }: SchemaStep): Promise<void> {
  await db.schema.alterTable("serverTools").addColumn("absentSince", "bigint").execute();
}
