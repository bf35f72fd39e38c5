import type { SchemaStep } from "./migrations.ts";

/** What is remembered of how a key is used. */
export async function addKeyUseHistory({ db }: SchemaStep): Promise<void> {
  await db.schema.alterTable("apiKeys").addColumn("useHistory", "text").execute();
}
