import { escapeHiddenText } from "../../lib/escape-hidden.ts";

type Row = Readonly<Record<string, unknown>>;

const CELL_CHARACTERS_MAX = 48;
const COLUMNS_MAX = 8;
// What people look for first; other columns follow in the order of the answer.
const FIRST = ["name", "email", "id", "time", "action", "status", "type", "kind", "role"];
const LAST = ["description", "createdAt", "updatedAt", "version"];

/** An operation's answer for people: lists as tables, objects as `name: value` lines. Strings from outside are made visible. */
export function show(output: Row): string {
  return Object.entries(output)
    .map(([name, value]) => showMember(name, value))
    .join("\n");
}

function showMember(name: string, value: unknown): string {
  if (isRows(value)) return name === "items" ? toTable(value) : `${name}:\n${indent(toTable(value))}`;
  if (isRow(value)) return `${name}:\n${indent(showLines(value))}`;
  return `${escapeHiddenText(name)}: ${toCell(value)}`;
}

function showLines(row: Row): string {
  return Object.entries(row)
    .map(([name, value]) =>
      isRows(value) && value.length > 0
        ? `${name}:\n${indent(toTable(value))}`
        : `${escapeHiddenText(name)}: ${toCell(value)}`,
    )
    .join("\n");
}

function toTable(rows: readonly Row[]): string {
  if (rows.length === 0) return "nothing";
  const columns = chooseColumns(rows);
  const cells = [columns, ...rows.map((row) => columns.map((column) => bound(toCell(row[column]))))];
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

/** The columns that tell rows apart, as many as fit: nothing that is empty in every row. */
function chooseColumns(rows: readonly Row[]): string[] {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row)))];
  const filled = names.filter((name) => rows.some((row) => toCell(row[name]) !== "-"));
  return filled.toSorted((a, b) => rank(a) - rank(b)).slice(0, COLUMNS_MAX);
}

function rank(name: string): number {
  if (FIRST.includes(name)) return FIRST.indexOf(name) - FIRST.length;
  return LAST.includes(name) ? 1 + LAST.indexOf(name) : 0;
}

/** One line for any value; what is nested is named or counted. */
function toCell(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  if (typeof value === "string") return escapeHiddenText(value).replaceAll(/\s+/g, " ");
  if (Array.isArray(value)) return value.length === 0 ? "-" : toListCell(value);
  return isRow(value) ? toObjectCell(value) : JSON.stringify(value);
}

function toListCell(values: readonly unknown[]): string {
  if (values.length > 5) return `${values.length} entries`;
  return values.map((value) => (isRow(value) ? toObjectCell(value) : toCell(value))).join(", ");
}

function toObjectCell(row: Row): string {
  const label = row["name"] ?? row["state"] ?? row["email"];
  if (typeof label === "string") return toCell(label);
  const members = Object.entries(row).map(
    ([name, value]) => `${name} ${typeof value === "object" ? "…" : toCell(value)}`,
  );
  return escapeHiddenText(members.join(", "));
}

function bound(cell: string): string {
  return cell.length > CELL_CHARACTERS_MAX ? `${cell.slice(0, CELL_CHARACTERS_MAX - 1)}…` : cell;
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}

function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every(isRow);
}
