import { type CreateTableBuilder, sql } from "kysely";
import type { SchemaStep } from "./migrations.ts";

/** Schema 1: every table of the first release. */
export async function createFirstSchema(step: SchemaStep): Promise<void> {
  await createPeople(step);
  await createServers(step);
  await createAgents(step);
  await createKeys(step);
  await createAudit(step);
  await createMarks(step);
}

/** The columns that every object has: its id first, and its version and times. */
function object<Table extends string>(table: CreateTableBuilder<Table>) {
  return table
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("version", "integer", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("updatedAt", "bigint", (column) => column.notNull());
}

async function createPeople({ db }: SchemaStep): Promise<void> {
  await object(db.schema.createTable("organizations"))
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("settings", "text", (column) => column.notNull())
    .execute();
  await object(db.schema.createTable("members"))
    .addColumn("email", "text", (column) => column.notNull())
    .addColumn("emailKey", "text", (column) => column.notNull().unique())
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("role", "text", (column) => column.notNull())
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("source", "text", (column) => column.notNull())
    .addColumn("groups", "text", (column) => column.notNull())
    // Always null: what is shown under this name comes from the uses of keys.
    .addColumn("lastActiveAt", "bigint")
    .execute();
  await db.schema
    .createTable("groups")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .execute();
}

async function createServers(step: SchemaStep): Promise<void> {
  await object(step.db.schema.createTable("servers"))
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("description", "text")
    .addColumn("transport", "text", (column) => column.notNull())
    .addColumn("url", "text")
    .addColumn("command", "text")
    .addColumn("cwd", "text")
    .addColumn("headerNames", "text", (column) => column.notNull())
    .addColumn("envNames", "text", (column) => column.notNull())
    .addColumn("sealedSecrets", "text", (column) => column.notNull())
    .addColumn("secretsVersion", "integer", (column) => column.notNull())
    .addColumn("credential", "text", (column) => column.notNull())
    .addColumn("groups", "text", (column) => column.notNull())
    .addColumn("owner", "text")
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("allowPrivateNetwork", "integer", (column) => column.notNull())
    .addColumn("shareable", "integer", (column) => column.notNull())
    .addColumn("protocolVersion", "text")
    .addColumn("serverInfo", "text")
    .addColumn("risk", "text", (column) => column.notNull())
    .addColumn("healthState", "text", (column) => column.notNull())
    .addColumn("healthCheckedAt", "bigint")
    .addColumn("healthLatencyMs", "double precision")
    .addColumn("healthError", "text")
    .execute();
  await createServerParts(step);
}

async function createServerParts({ db, counter }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("serverTools")
    .addColumn("serverId", "text", (column) => column.notNull().references("servers.id").onDelete("cascade"))
    .addColumn("name", "text", (column) => column.notNull())
    .addColumn("digest", "text", (column) => column.notNull())
    .addColumn("definition", "text", (column) => column.notNull())
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("pending", "text")
    .addColumn("firstSeenAt", "bigint", (column) => column.notNull())
    .addColumn("lastSeenAt", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("server_tools_pk", ["serverId", "name"])
    .execute();
  await db.schema
    .createTable("serverHealth")
    .addColumn("position", counter.type, counter.build)
    .addColumn("serverId", "text", (column) => column.notNull().references("servers.id").onDelete("cascade"))
    .addColumn("state", "text", (column) => column.notNull())
    .addColumn("checkedAt", "bigint")
    .addColumn("latencyMs", "double precision")
    .addColumn("error", "text")
    .execute();
  await db.schema.createIndex("serverHealthServer").on("serverHealth").columns(["serverId", "position"]).execute();
}

async function createAgents({ db }: SchemaStep): Promise<void> {
  await object(db.schema.createTable("agents"))
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("type", "text", (column) => column.notNull())
    .addColumn("description", "text")
    .addColumn("owner", "text")
    .addColumn("status", "text", (column) => column.notNull())
    .addColumn("groups", "text", (column) => column.notNull())
    .addColumn("lastSeenAt", "bigint")
    .execute();
  await db.schema
    .createTable("agentAssignments")
    .addColumn("agentId", "text", (column) => column.notNull().references("agents.id").onDelete("cascade"))
    .addColumn("serverId", "text", (column) => column.notNull().references("servers.id").onDelete("cascade"))
    .addColumn("place", "integer", (column) => column.notNull())
    .addColumn("tools", "text")
    .addColumn("resources", "text")
    .addColumn("prompts", "text")
    .addPrimaryKeyConstraint("agent_assignments_pk", ["agentId", "serverId"])
    .execute();
  await db.schema.createIndex("agentAssignmentsServer").on("agentAssignments").column("serverId").execute();
}

async function createKeys({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("apiKeys")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("name", "text", (column) => column.notNull().unique())
    .addColumn("kind", "text", (column) => column.notNull())
    .addColumn("origin", "text", (column) => column.notNull())
    .addColumn("hash", "text", (column) => column.notNull().unique())
    .addColumn("hint", "text", (column) => column.notNull())
    .addColumn("description", "text")
    .addColumn("role", "text")
    .addColumn("agentId", "text")
    .addColumn("memberId", "text")
    .addColumn("allowedIps", "text", (column) => column.notNull())
    .addColumn("createdBy", "text", (column) => column.notNull())
    .addColumn("createdAt", "bigint", (column) => column.notNull())
    .addColumn("expiresAt", "bigint")
    .addColumn("revokedAt", "bigint")
    .addColumn("revokedReason", "text")
    .addColumn("lastUsedAt", "bigint")
    .addColumn("lastUsedIp", "text")
    .addColumn("useCount", "bigint", (column) => column.notNull())
    .addColumn("version", "integer", (column) => column.notNull())
    .execute();
  await db.schema.createIndex("apiKeysAgent").on("apiKeys").column("agentId").execute();
}

async function createAudit({ db, counter }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("auditStaging")
    .addColumn("position", counter.type, counter.build)
    .addColumn("draft", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("auditDecisions")
    .addColumn("id", "text", (column) => column.primaryKey())
    .addColumn("draft", "text", (column) => column.notNull())
    .execute();
  await db.schema
    .createTable("auditEvents")
    .addColumn("seq", counter.type, (column) => column.primaryKey())
    .addColumn("id", "text", (column) => column.notNull())
    .addColumn("time", "bigint", (column) => column.notNull())
    .addColumn("actorType", "text", (column) => column.notNull())
    .addColumn("actorId", "text", (column) => column.notNull())
    .addColumn("actorName", "text", (column) => column.notNull())
    .addColumn("actorContext", "text")
    .addColumn("action", "text", (column) => column.notNull())
    .addColumn("resourceType", "text", (column) => column.notNull())
    .addColumn("resourceId", "text", (column) => column.notNull())
    .addColumn("resourceName", "text", (column) => column.notNull())
    .addColumn("outcome", "text", (column) => column.notNull())
    .addColumn("reason", "text")
    .addColumn("policies", "text")
    .addColumn("correlationId", "text", (column) => column.notNull())
    .addColumn("sessionId", "text")
    .addColumn("durationMs", "double precision")
    .addColumn("details", "text", (column) => column.notNull())
    .addColumn("leafHash", "text", (column) => column.notNull())
    .addColumn("serverId", "text")
    .addColumn("agentId", "text")
    .execute();
  await createAuditIndexes(db);
}

/*
 * Each index costs every event 2 to 4 µs, so only the questions that nobody may wait for have one: what happened at this time or
 * under this correlation id (both grow, so that writes stay at the right edge), what one agent did, what one server was asked.
 */
async function createAuditIndexes(db: SchemaStep["db"]): Promise<void> {
  await db.schema.createIndex("auditEventsTime").on("auditEvents").column("time").execute();
  await db.schema.createIndex("auditEventsCorrelation").on("auditEvents").column("correlationId").execute();
  await db.schema
    .createIndex("auditEventsAgent")
    .on("auditEvents")
    .columns(["agentId", "seq"])
    .where(sql.ref("agentId"), "is not", null)
    .execute();
  await db.schema
    .createIndex("auditEventsServer")
    .on("auditEvents")
    .columns(["serverId", "seq"])
    .where(sql.ref("serverId"), "is not", null)
    .execute();
}

async function createMarks({ db }: SchemaStep): Promise<void> {
  await db.schema
    .createTable("idempotency")
    .addColumn("callerId", "text", (column) => column.notNull())
    .addColumn("key", "text", (column) => column.notNull())
    .addColumn("operation", "text", (column) => column.notNull())
    .addColumn("inputHash", "text", (column) => column.notNull())
    .addColumn("answer", "text", (column) => column.notNull())
    .addColumn("expiresAt", "bigint", (column) => column.notNull())
    .addPrimaryKeyConstraint("idempotency_pk", ["callerId", "key"])
    .execute();
  await db.schema.createIndex("idempotencyExpiry").on("idempotency").column("expiresAt").execute();
  await db.schema
    .createTable("installationValues")
    .addColumn("name", "text", (column) => column.primaryKey())
    .addColumn("value", "text", (column) => column.notNull())
    .execute();
}
