import { readFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import { alternatives, type JsonSchema, type PlainSchema } from "../json-schemas.ts";
import { readTextField } from "../text-input.ts";

/**
 * A field of an operation's input as options: `--expected-version <integer>`, a truth value as `--dry-run` and `--no-dry-run`.
 * Lists are given by repeating the option.
 */
export function toOptions(name: string, schema: JsonSchema): readonly Option[] {
  const flag = toKebabCase(name);
  const accepted = kindsOf(schema);
  const description = describe(schema, accepted);
  if ([...accepted].every((kind) => kind === "boolean" || kind === "null")) {
    // Without a value: `--confirm web` must not take `web` for itself.
    return [new Option(`--${flag}`, description), new Option(`--no-${flag}`).hideHelp()];
  }
  const form = [...accepted].join("|");
  const option = new Option(accepted.has("boolean") ? `--${flag} [${form}]` : `--${flag} <${form}>`, description);
  return [
    option.argParser((text: string, earlier: unknown) => [
      ...(isTexts(earlier) ? earlier : []),
      readFile(text, accepted),
    ]),
  ];
}

/** The value of an option as commander gives it: the texts in order, or a truth value. */
export function readOption(value: unknown, schema: JsonSchema): unknown {
  if (typeof value === "boolean") return value;
  return isTexts(value) ? readTextField(value, schema) : undefined;
}

/** What keeps the texts of an option from being the JSON that they are meant to be; undefined where nothing does. */
export function findJsonFault(value: unknown, schema: JsonSchema): string | undefined {
  const accepted = kindsOf(schema);
  if (!accepted.has("json") || !isTexts(value)) return undefined;
  const isJsonOnly = [...accepted].every((kind) => kind === "json" || kind === "null");
  return value
    .filter((text) => isJsonOnly || /^\s*[[{]/.test(text))
    .map(jsonFault)
    .find((fault) => fault !== undefined);
}

function jsonFault(text: string): string | undefined {
  try {
    JSON.parse(text);
    return undefined;
  } catch (error) {
    // The parser quotes what it read, which may be a secret.
    const where = error instanceof SyntaxError ? error.message.replace(/, (\.\.\.)?".*$/s, "") : "";
    return `is not valid JSON: ${where}`;
  }
}

export function toKebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((element) => typeof element === "string");
}

/** The kinds of text that a field takes, as the help shows them. */
function kindsOf(schema: JsonSchema): ReadonlySet<string> {
  return new Set(alternatives(schema).flatMap(kinds));
}

function kinds({ type, items }: PlainSchema): readonly string[] {
  if (type === "array") return [...kindsOf(items ?? {})];
  if (type === "object" || type === undefined) return ["json"];
  return [type === "string" ? "text" : type];
}

function describe(schema: JsonSchema, accepted: ReadonlySet<string>): string {
  const values = schema.enum ?? schema.items?.enum;
  const choices = values === undefined ? "" : ` (${values.map(String).join(", ")})`;
  const list = alternatives(schema).some(({ type }) => type === "array") ? "; repeat for several" : "";
  const file = accepted.has("json") ? "; JSON, or `@file` that holds it" : "";
  return `${schema.description ?? ""}${choices}${list}${file}`;
}

/** `@file` in place of JSON keeps secrets out of the shell's history and the process list. */
function readFile(text: string, accepted: ReadonlySet<string>): string {
  if (!accepted.has("json") || !text.startsWith("@")) return text;
  try {
    return readFileSync(text.slice(1), "utf8").trim();
  } catch {
    throw new InvalidArgumentError(`the file \`${text.slice(1)}\` cannot be read`);
  }
}
