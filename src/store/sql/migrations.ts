import { type ColumnDefinitionBuilder, type Kysely, type Transaction, sql } from "kysely";
import { AppError } from "../../lib/errors.ts";
import { keepAbsentTools } from "./schema-absent-tools.ts";
import { createApprovals, indexApprovalExpiry } from "./schema-approvals.ts";
import type { Database } from "./schema.ts";
import { createFirstSchema } from "./schema-v1.ts";
import { createPolicies } from "./schema-v2.ts";
import { fitSweepToFleets } from "./sweep-at-scale.ts";
import { addKeyUseHistory } from "./schema-key-uses.ts";
import { createSweepTables } from "./sweep-tables.ts";
import { createServerPeers } from "./schema-server-peers.ts";
import { createSkills } from "./schema-skills.ts";

export type Dialect = "sqlite" | "postgres";

/** A step of the schema; `version` is its place in the list, from 1. */
type Migration = (schema: SchemaStep) => Promise<void>;

export interface SchemaStep {
  readonly db: Transaction<Database>;
  /** Type and constraints of a primary key that the database counts up itself. */
  readonly counter: {
    readonly type: "integer" | "bigint";
    readonly build: (column: ColumnDefinitionBuilder) => ColumnDefinitionBuilder;
  };
}

const MIGRATIONS: readonly Migration[] = [
  createFirstSchema,
  createPolicies,
  createSweepTables,
  createApprovals,
  createSkills,
  addKeyUseHistory,
  indexApprovalExpiry,
  createServerPeers,
  fitSweepToFleets,
  keepAbsentTools,
];

/**
 * Brings the database to this program's schema, each step in a transaction of its own. A database that is newer than the
 * program is refused with `unavailable`.
 */
export async function migrate(db: Kysely<Database>, dialect: Dialect, nowMs: number): Promise<void> {
  await db.schema
    .createTable("schemaMigrations")
    .ifNotExists()
    .addColumn("version", "integer", (column) => column.primaryKey())
    .addColumn("appliedAt", "bigint", (column) => column.notNull())
    .execute();
  const current = await currentVersion(db);
  if (current > MIGRATIONS.length) {
    throw new AppError(
      "unavailable",
      `the database has schema ${current}, this program knows schema ${MIGRATIONS.length}; start a newer Runlayer on it`,
    );
  }
  for (const [index, step] of MIGRATIONS.entries()) {
    const version = index + 1;
    if (version <= current) continue;
    await db.transaction().execute(async (trx) => {
      await step({ db: trx, counter: dialect === "sqlite" ? SQLITE_COUNTER : POSTGRES_COUNTER });
      await trx.insertInto("schemaMigrations").values({ version, appliedAt: nowMs }).execute();
    });
  }
}

async function currentVersion(db: Kysely<Database>): Promise<number> {
  const row = await db
    .selectFrom("schemaMigrations")
    .select(sql<number>`coalesce(max(version), 0)`.as("version"))
    .executeTakeFirstOrThrow();
  return row.version;
}

// AUTOINCREMENT: without it SQLite hands out the number of a deleted last row again, and staged events would lose their order.
const SQLITE_COUNTER: SchemaStep["counter"] = {
  type: "integer",
  build: (column) => column.primaryKey().autoIncrement(),
};
const POSTGRES_COUNTER: SchemaStep["counter"] = {
  type: "bigint",
  build: (column) => column.primaryKey().generatedAlwaysAsIdentity(),
};
