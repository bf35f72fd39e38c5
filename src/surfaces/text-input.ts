import { alternatives, type JsonSchema, type PlainSchema } from "./json-schemas.ts";

const INTEGER = /^-?\d{1,15}$/;
const NUMBER = /^-?\d{1,15}(\.\d{1,15})?$/;

/**
 * Reads a field's value from text (a query string, a command line) as its schema says: numbers, booleans, `null`, a repeated text
 * as an array, JSON for objects. What cannot be read stays text, so that the operation's own schema names the fault.
 */
export function readTextField(texts: readonly string[], schema: JsonSchema): unknown {
  const [text] = texts;
  if (text === undefined) return undefined;
  const read = options(schema)
    .map((option) => readAs(texts, option))
    .find((value) => value !== undefined);
  if (read !== undefined) return read;
  return texts.length === 1 ? text : texts;
}

/** The alternatives of a schema, plain text last: it accepts everything. */
function options(schema: JsonSchema): readonly PlainSchema[] {
  return alternatives(schema).toSorted((a, b) => rank(a) - rank(b));
}

function rank({ type }: PlainSchema): number {
  if (type === "string") return 1;
  // One text is a text rather than a list of one, where both are allowed.
  return type === "array" ? 2 : 0;
}

function readAs(texts: readonly string[], schema: PlainSchema): unknown {
  const [text = ""] = texts;
  if (schema.type === "array") return readArray(texts, schema.items ?? {});
  if (texts.length > 1) return undefined;
  if (schema.type === "integer" || schema.type === "number") return readNumber(text, schema.type);
  if (schema.type === "boolean") return readBoolean(text, schema.const);
  if (schema.type === "null") return text === "null" ? null : undefined;
  return schema.type === "string" ? text : readJsonText(text, "{");
}

function readNumber(text: string, type: "integer" | "number"): number | undefined {
  return (type === "integer" ? INTEGER : NUMBER).test(text) ? Number(text) : undefined;
}

function readBoolean(text: string, only: unknown): boolean | undefined {
  if (text !== "true" && text !== "false") return undefined;
  const value = text === "true";
  return only === undefined || only === value ? value : undefined;
}

function readArray(texts: readonly string[], items: JsonSchema): unknown {
  const [text = ""] = texts;
  if (texts.length === 1 && text.startsWith("[")) return readJsonText(text, "[");
  return texts.map((element) => readTextField([element], items));
}

function readJsonText(text: string, opening: "{" | "["): unknown {
  if (!text.trimStart().startsWith(opening)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch {
    // Not JSON: the caller keeps the text and the operation's schema says what it wants.
    return undefined;
  }
}
