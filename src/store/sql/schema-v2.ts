import type { SchemaStep } from "./migrations.ts";

/** Schema 2: policies and what they decided. */
export async function createPolicies({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("policies")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("description", "text")
    .addColumn("effect", "text", (column) => column.notNull())
    .addColumn("mode", "text", (column) => column.notNull())
    .addColumn("rule", "text")
    .addColumn("cedar", "text", (column) => column.notNull())
    .addColumn("ast", "text", (column) => column.notNull())
    .addColumn("mentions", "text", (column) => column.notNull())
    .addColumn("audit", "text")
    .addColumn("expiresAt", "bigint")
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("updatedAt", "bigint", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("policyCounts")
    .addColumn("policyId", "text", (column) => column.notNull().references("policies.id").onDelete("cascade"))
    .addColumn("dimension", "text", (column) => column.notNull())
    .addColumn("key", "text", (column) => column.notNull())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("matches", "bigint", (column) => column.notNull())
    .addColumn("violations", "bigint", (column) => column.notNull())
    .addColumn("lastAt", "bigint", (column) => column.notNull())
    .addColumn("lastViolationAt", "bigint")
    .addPrimaryKeyConstraint("policy_counts_pk", ["policyId", "dimension", "key"])
    .execute();
  await db.schema.createIndex("policyCountsKey").on("policyCounts").columns(["dimension", "key"]).execute();
}
