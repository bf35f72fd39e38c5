import { z } from "zod";
import { jsonText } from "./repositories/json-text.ts";
import type { SchemaStep } from "./migrations.ts";

const ROWS_PER_PAGE = 500;
const body = jsonText(z.object({ lastSeenAt: z.number() }));

/**
 * Migration for large fleets: reports are kept as they came, the time that a finding was last seen has a column of its own, and what a
 * scan said is found by finding too. Reports of the form before are dropped; each device sends a fresh one with its next turn.
 */
export async function fitSweepToFleets(step: SchemaStep): Promise<void> {
  const { db } = step;
  await db.deleteFrom("deviceReports").execute();
  await db.schema.alterTable("deviceReports").renameColumn("body", "compressed").execute();
  await db.updateTable("devices").set({ reportedAt: null }).execute();
  await db.schema
    .alterTable("findings")
    .addColumn("lastSeenAt", "bigint", (column) => column.notNull().defaultTo(0))
    .execute();
  await db.schema.createIndex("findingsStatus").on("findings").columns(["status", "key"]).execute();
  // Without it, to delete a finding is to read all of `scanFindings`.
  await db.schema.createIndex("scanFindingsFinding").on("scanFindings").column("findingId").execute();
  await fillLastSeen(step);
}

async function fillLastSeen({ db }: SchemaStep): Promise<void> {
  for (let after = ""; ;) {
    const rows = await db
      .selectFrom("findings")
      .select(["id", "body"])
      .where("id", ">", after)
      .orderBy("id")
      .limit(ROWS_PER_PAGE)
      .execute();
    for (const row of rows) {
      const { lastSeenAt } = body.parse(row.body);
      await db.updateTable("findings").set({ lastSeenAt }).where("id", "=", row.id).execute();
    }
    const last = rows.at(-1);
    if (last === undefined) return;
    after = last.id;
  }
}
