import type { SchemaStep } from "./migrations.ts";

/** Held calls and what people said about them. */
export async function createApprovals({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("approvals")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("bindingHash", "text", (column) => column.notNull())
    .addColumn("agentId", "text", (column) => column.notNull())
    .addColumn("serverId", "text", (column) => column.notNull())
    .addColumn("call", "text", (column) => column.notNull())
    .addColumn("requestedAt", "bigint", (column) => column.notNull())
    .addColumn("expiresAt", "bigint", (column) => column.notNull())
    .addColumn("decision", "text")
    .addColumn("usedAt", "bigint")
    .addColumn("version", "integer", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("approvalsBinding").on("approvals").columns(["bindingHash", "id"]).execute();
  await db.schema.createIndex("approvalsStatus").on("approvals").columns(["status", "id"]).execute();
}

/** Approvals are forgotten in the order in which they end. */
export async function indexApprovalExpiry({ db }: SchemaStep): Promise<void> {
  await db.schema.createIndex("approvalsExpiry").on("approvals").column("expiresAt").execute();
}
