import type { SchemaStep } from "./migrations.ts";

/** Who answered at the address of a server when that was last accepted. */
export async function createServerPeers({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("serverPeers")
    .addColumn("serverId", "text", (column) => column.primaryKey().references("servers.id").onDelete("cascade"))
    .addColumn("peer", "text", (column) => column.notNull())
    .execute();
}
