import { escapeHiddenText, toVisibleJson } from "../../lib/escape-hidden.ts";
import { isUuid } from "../../lib/ids.ts";

export type Row = Readonly<Record<string, unknown>>;

export const CELL_CHARACTERS_MAX = 48;
export const COLUMNS_MAX = 10;
/** A cell counts what is more. */
export const CELL_ENTRIES_MAX = 5;

const LABELS = ["name", "state", "email"];

/** One line for any value; what is nested is named or counted. */
export function toCell(value: unknown, name = ""): string {
  if (isEmpty(value)) return isCollection(value) ? "none" : "-";
  // Whoever asks for something chooses its form: a member called `name` must not stand for all of it.
  if (name === "arguments") return toVisibleJson(value, 0);
  if (typeof value === "string") return escapeHiddenText(value).replaceAll(/\s+/g, " ");
  // Times are measured as doubles: what is behind a microsecond is noise.
  if (typeof value === "number") return String(name.endsWith("Ms") ? Number(value.toFixed(3)) : value);
  if (Array.isArray(value)) return toListCell(value);
  return isRow(value) ? toObjectCell(value) : JSON.stringify(value);
}

/** Nothing to show: no value, an empty text, an empty list or object. */
export function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "") return true;
  return isCollection(value) && Object.keys(value).length === 0;
}

/** An object that only says which one of ours is meant. What skills and agents made may have ids that say more. */
export function isReference(value: unknown): boolean {
  if (!isRow(value) || typeof value["name"] !== "string") return false;
  const { id = "", name: _, ...rest } = value;
  return isEmpty(rest) && (id === "" || isUuid(String(id)));
}

export function isRow(value: unknown): value is Row {
  return isCollection(value) && !Array.isArray(value);
}

export function isRows(value: unknown): value is readonly Row[] {
  return Array.isArray(value) && value.every(isRow);
}

function isCollection(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function toListCell(values: readonly unknown[]): string {
  return values.length > CELL_ENTRIES_MAX
    ? `${values.length} entries`
    : values.map((value) => toCell(value)).join(", ");
}

function toObjectCell(row: Row): string {
  const label = LABELS.map((name) => row[name]).find((text) => typeof text === "string");
  const { version } = row;
  if (label !== undefined) return typeof version === "number" ? `${toCell(label)} v${version}` : toCell(label);
  const members = Object.entries(row).filter(([, value]) => !isEmpty(value));
  return members.map(([name, value]) => `${toCell(name)} ${toCell(value, name)}`).join(", ");
}
