import { escapeHiddenText, toVisibleJson } from "../../lib/escape-hidden.ts";
import {
  CELL_CHARACTERS_MAX,
  CELL_ENTRIES_MAX,
  COLUMNS_MAX,
  isEmpty,
  isReference,
  isRow,
  isRows,
  type Row,
  toCell,
} from "./show-cell.ts";
import { DIGEST, toTable } from "./show-table.ts";

/** Deeper than this a value is JSON on one line: what agents and skills chose may be as deep as they like. */
const DEPTH_MAX = 8;
const LINE_CHARACTERS_MAX = 100;

/** An operation's answer for people: lists as tables, everything else in full, indented under its name. Strings from outside are made visible. */
export function show(output: Row): string {
  const { items, ...rest } = output;
  const members = showMembers(rest);
  if (!isRows(items)) return showMembers(output);
  return members === "" ? toTable(items) : `${toTable(items)}\n${members}`;
}

/** A value under its name: on the same line, or indented below. */
export function showMember(name: string, value: unknown, depth = 0): string {
  const label = toCell(name);
  const block = toBlock(value, depth);
  return block === undefined ? `${label}: ${toLine(value, name)}` : `${label}:\n${indent(block)}`;
}

function showMembers(row: Row, depth = 0): string {
  return Object.entries(row)
    .map(([name, value]) => showMember(name, value, depth))
    .join("\n");
}

/** The lines of a value that has several; undefined for one that fits its name's line. */
function toBlock(value: unknown, depth: number): string | undefined {
  if (typeof value === "string") return value.includes("\n") ? escapeHiddenText(value.trimEnd()) : undefined;
  if (isEmpty(value) || isReference(value) || depth >= DEPTH_MAX) return undefined;
  if (isRow(value)) return showMembers(value, depth + 1);
  if (!Array.isArray(value)) return undefined;
  if (isRows(value) && isTabular(value)) return toTable(value);
  if (value.every(isPlain) && toLine(value).length <= LINE_CHARACTERS_MAX) return undefined;
  return value.map((element) => `- ${indent(toBlock(element, depth + 1) ?? toLine(element)).slice(2)}`).join("\n");
}

/** Whether a table shows all of it: rows of one form whose cells are neither nested nor cut, and no column that is empty. */
function isTabular(rows: readonly Row[]): boolean {
  const names = Object.keys(rows[0] ?? {});
  if (names.length > COLUMNS_MAX || names.some((name) => DIGEST.test(name))) return false;
  if (names.length === 0 || names.some((name) => rows.every((row) => isEmpty(row[name])))) return false;
  return rows.every((row) => Object.keys(row).join() === names.join() && Object.values(row).every(fitsCell));
}

function fitsCell(value: unknown): boolean {
  const elements: readonly unknown[] = Array.isArray(value) ? value : [value];
  return elements.length <= CELL_ENTRIES_MAX && elements.every(isPlain) && toCell(value).length <= CELL_CHARACTERS_MAX;
}

/** Decided without a look into it: values may be deep. */
function isPlain(value: unknown): boolean {
  if (typeof value === "string") return !value.includes("\n");
  return typeof value !== "object" || isEmpty(value) || isReference(value);
}

function toLine(value: unknown, name = ""): string {
  if (typeof value === "string" && value !== "") return escapeHiddenText(value);
  if (isEmpty(value) || isReference(value) || typeof value !== "object") return toCell(value, name);
  return Array.isArray(value) && !value.some(isRow)
    ? value.map((element) => toLine(element)).join(", ")
    : toVisibleJson(value, 0);
}

export function indent(text: string): string {
  return text.replaceAll(/^/gm, "  ");
}
