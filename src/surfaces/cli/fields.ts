import { readFileSync } from "node:fs";
import { InvalidArgumentError, Option } from "commander";
import type { JsonSchema } from "../json-schemas.ts";
import { readTextField } from "../text-input.ts";

/**
 * A field of an operation's input as options: `--expected-version <integer>`, a truth value as `--dry-run` and `--no-dry-run`.
 * Lists are given by repeating the option.
 */
export function toOptions(name: string, schema: JsonSchema): readonly Option[] {
  const flag = toKebabCase(name);
  const kinds = kindsOf(schema);
  const description = describe(schema, kinds);
  if (kinds.size === 1 && kinds.has("boolean")) {
    // Without a value: `--confirm web` must not take `web` for itself.
    return [new Option(`--${flag}`, description), new Option(`--no-${flag}`).hideHelp()];
  }
  const form = [...kinds].join("|");
  const option = new Option(kinds.has("boolean") ? `--${flag} [${form}]` : `--${flag} <${form}>`, description);
  return [
    option.argParser((text: string, earlier: unknown) => [...(isTexts(earlier) ? earlier : []), readFile(text, kinds)]),
  ];
}

/** The value of an option as commander gives it: the texts in order, or a truth value. */
export function readOption(value: unknown, schema: JsonSchema): unknown {
  if (typeof value === "boolean") return value;
  return isTexts(value) ? readTextField(value, schema) : undefined;
}

function toKebabCase(name: string): string {
  return name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((element) => typeof element === "string");
}

/** The kinds of text that a field takes, as the help shows them. */
function kindsOf(schema: JsonSchema): ReadonlySet<string> {
  if (schema.anyOf !== undefined) return new Set(schema.anyOf.flatMap((option) => [...kindsOf(option)]));
  if (schema.type === "array") return kindsOf(schema.items ?? {});
  if (schema.type === "object" || schema.type === undefined) return new Set(["json"]);
  return new Set([schema.type === "string" ? "text" : schema.type]);
}

function describe(schema: JsonSchema, kinds: ReadonlySet<string>): string {
  const values = schema.enum ?? schema.items?.enum;
  const choices = values === undefined ? "" : ` (${values.map(String).join(", ")})`;
  const list = schema.type === "array" ? "; repeat for several" : "";
  const file = kinds.has("json") ? "; JSON, or `@file` that holds it" : "";
  return `${schema.description ?? ""}${choices}${list}${file}`;
}

/** `@file` in place of JSON keeps secrets out of the shell's history and the process list. */
function readFile(text: string, kinds: ReadonlySet<string>): string {
  if (!kinds.has("json") || !text.startsWith("@")) return text;
  try {
    return readFileSync(text.slice(1), "utf8").trim();
  } catch {
    throw new InvalidArgumentError(`the file \`${text.slice(1)}\` cannot be read`);
  }
}
