import type { SchemaStep } from "./migrations.ts";

/** Skills with their versions, what they need and how often they ran; and the skills that an agent is limited to. */
export async function createSkills({ db }: SchemaStep): Promise<void> {
  await db.schema.alterTable("agents").addColumn("skills", "text").execute();
  await db.schema
    .createTable("skills")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("description", "text", (column) => column.notNull())
    .addColumn("risk", "text", (column) => column.notNull())
    .addColumn("latestVersion", "integer", (column) => column.notNull())
    .addColumn("servingVersion", "integer")
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("updatedAt", "bigint", (column) => column.notNull())
    .execute();
  await createVersions(db);
  await db.schema
    .createTable("skillRuns")
    .addColumn("eventId", "text", (column) => column.primaryKey())
    .addColumn("skillId", "text", (column) => column.notNull().references("skills.id").onDelete("cascade"))
    .addColumn("agentId", "text")
    .addColumn("agentName", "text")
    .addColumn("time", "bigint", (column) => column.notNull())
    .addColumn("isFailure", "integer", (column) => column.notNull())
    .addColumn("durationMs", "double precision")
    .execute();
  await db.schema.createIndex("skillRunsSkill").on("skillRuns").columns(["skillId", "time"]).execute();
}

async function createVersions(db: SchemaStep["db"]): Promise<void> {
  await db.schema
    .createTable("skillVersions")
    .addColumn("skillId", "text", (column) => column.notNull().references("skills.id").onDelete("cascade"))
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("digest", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("risk", "text", (column) => column.notNull())
    .addColumn("evidence", "text", (column) => column.notNull())
    .addColumn("content", "text", (column) => column.notNull())
    .addColumn("createdBy", "text", (column) => column.notNull())
    .addColumn("approvedBy", "text")
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("skill_versions_pk", ["skillId", "version"])
    .execute();
  await db.schema
    .createTable("skillServers")
    .addColumn("skillId", "text", (column) => column.notNull().references("skills.id").onDelete("cascade"))
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("serverId", "text", (column) => column.notNull())
    .addPrimaryKeyConstraint("skill_servers_pk", ["skillId", "version", "serverId"])
    .execute();
  await db.schema.createIndex("skillServersServer").on("skillServers").column("serverId").execute();
}
