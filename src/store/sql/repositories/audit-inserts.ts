import { CompiledQuery, type DialectAdapter, type Transaction } from "kysely";
import { assert } from "../../../lib/assert.ts";
import type { AuditEventTable, Database } from "../schema.ts";
import { auditValues } from "./audit-row.ts";

/** Larger inserts win nothing more; 64 rows of 21 columns stay far below SQLite's 32 766 parameters. */
const ROWS_PER_INSERT = 64;

/** Texts by number of rows, for each database: the two write parameters differently. */
const textsByAdapter = new WeakMap<DialectAdapter, Map<number, string>>();

/**
 * Inserts events in statements of many rows. The text of a statement depends on the number of rows only and is kept: building it
 * for each batch costs Kysely more time than SQLite needs to write the rows.
 */
export async function insertAuditRows(db: Transaction<Database>, rows: readonly AuditEventTable[]): Promise<void> {
  for (let first = 0; first < rows.length; first += ROWS_PER_INSERT) {
    const some = rows.slice(first, first + ROWS_PER_INSERT);
    const parameters = some.flatMap(auditValues);
    await db.executeQuery(CompiledQuery.raw(insertText(db, some, parameters), parameters));
  }
}

function insertText(
  db: Transaction<Database>,
  rows: readonly AuditEventTable[],
  parameters: readonly unknown[],
): string {
  const { adapter } = db.getExecutor();
  const texts = textsByAdapter.get(adapter) ?? new Map<number, string>();
  textsByAdapter.set(adapter, texts);
  const known = texts.get(rows.length);
  if (known !== undefined) return known;
  const query = db.insertInto("auditEvents").values(rows).compile();
  const isSameOrder = query.parameters.every((parameter, index) => parameter === parameters[index]);
  assert(isSameOrder && query.parameters.length === parameters.length, "the columns of an audit row are in one order");
  texts.set(rows.length, query.sql);
  return query.sql;
}
