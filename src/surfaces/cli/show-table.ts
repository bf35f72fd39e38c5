import { CELL_CHARACTERS_MAX, COLUMNS_MAX, isEmpty, type Row, toCell } from "./show-cell.ts";

/** The last column runs over without harm to the others. */
const WIDE = "arguments";
const WIDE_CHARACTERS_MAX = 400;
const OF_OBJECTS = ["name", "email", "id", "time", "action", "status", "type", "kind", "role"];
const OF_EVENTS = ["actor", "resource", "outcome", "reason"];
const OF_APPROVALS = ["agent", "server", "target", "policies", "requestedAt", "expiresAt", WIDE];
// What people look for first; other columns follow in the order of the answer.
const FIRST = [...OF_OBJECTS, ...OF_EVENTS, ...OF_APPROVALS];
const LAST = ["description", "createdAt", "updatedAt", "version", "correlationId"];

/** What tells people nothing, and programs much. */
export const DIGEST = /hash$|digest$/i;

/** A row for each object, under the columns that tell them apart; long cells are cut. */
export function toTable(rows: readonly Row[]): string {
  if (rows.length === 0) return "nothing";
  const columns = chooseColumns(rows);
  // Skills and agents choose names, too.
  const head = columns.map((column) => bound(toCell(column), column));
  const cells = [head, ...rows.map((row) => columns.map((column) => cellOf(row, column)))];
  const widths = columns.map((_, index) => Math.max(...cells.map((line) => line[index]?.length ?? 0)));
  return cells
    .map((line) =>
      line
        .map((cell, index) => cell.padEnd(widths[index] ?? 0))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** As many columns as fit: nothing that is empty in every row, and no digests. */
function chooseColumns(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const filled = names.filter((name) => !DIGEST.test(name) && rows.some((row) => !isEmpty(row[name]) || name === WIDE));
  const chosen = filled.toSorted((a, b) => rank(a) - rank(b)).slice(0, COLUMNS_MAX);
  return chosen.toSorted((a, b) => Number(a === WIDE) - Number(b === WIDE));
}

function cellOf(row: Row, column: string): string {
  const cell = bound(toCell(row[column], column), column);
  if (column !== WIDE) return cell;
  const bytes = row["argumentsBytes"];
  if (isEmpty(row[WIDE]) && typeof bytes === "number") return `(not shown, ${bytes} bytes)`;
  return row["argumentsAltered"] === true ? `${cell} (altered)` : cell;
}

function rank(name: string): number {
  if (FIRST.includes(name)) return FIRST.indexOf(name) - FIRST.length;
  return LAST.indexOf(name) + 1;
}

function bound(cell: string, column: string): string {
  const charactersMax = column === WIDE ? WIDE_CHARACTERS_MAX : CELL_CHARACTERS_MAX;
  return cell.length > charactersMax ? `${cell.slice(0, charactersMax - 1)}…` : cell;
}
