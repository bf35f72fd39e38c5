import type SqliteDatabase from "better-sqlite3";
import { placeEvents } from "../../../domain/place-event.ts";
import { assert } from "../../../lib/assert.ts";
import { AUDIT_COLUMNS, auditValues, toAuditRow } from "../repositories/audit-row.ts";

/** Gives the connection the table `placed_events(lines, first_seq)`: the rows of the log that the given events become. */
export function definePlacedEvents(database: SqliteDatabase.Database): void {
  database.table("placed_events", {
    columns: [...AUDIT_COLUMNS],
    parameters: ["lines", "first_seq"],
    *rows(lines: unknown, firstSeq: unknown) {
      assert(typeof lines === "string" && typeof firstSeq === "number", "events come as lines and a place");
      for (const event of placeEvents(lines, firstSeq)) yield auditValues(toAuditRow(event));
    },
  });
}
