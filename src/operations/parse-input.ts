import type { z } from "zod";
import { AppError } from "../lib/errors.ts";

const ISSUES_MAX = 20;

/**
 * What a schema makes of an input. Throws one `invalid_input` for all that is wrong with it: a sentence, and each fault with its
 * field. Never repeats a value: it may be a secret.
 */
export function parseInput<T extends z.ZodType>(schema: T, raw: unknown): z.output<T> {
  const parsed = schema.safeParse(raw, { error: explain });
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues
    .slice(0, ISSUES_MAX)
    .flatMap((issue) => toFieldIssues(issue))
    .slice(0, ISSUES_MAX);
  const message = issues.map((issue) => `${issue.field === "" ? "input" : `\`${issue.field}\``}: ${issue.message}`);
  throw new AppError("invalid_input", message.join("; "), { details: { issues } });
}

type Issue = z.core.$ZodIssue;

interface FieldIssue {
  readonly field: string;
  readonly message: string;
}

/** What the parser would say of a missing field and of a union does not tell what to do. */
function explain(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.input === undefined) {
    return `is missing; give ${issue.code === "invalid_value" ? oneOf(issue.values.map(quote)) : "it"}`;
  }
  if (issue.code !== "invalid_union") return undefined;
  const { errors, options } = issue;
  const words = Array.isArray(options) ? options.map(quote) : errors.flat().flatMap(wanted);
  return words.length === 0 ? undefined : `must be ${oneOf(words)}`;
}

function toFieldIssues(issue: Issue, above: readonly PropertyKey[] = []): FieldIssue[] {
  const path = [...above, ...issue.path];
  const at = (key?: string): string =>
    [...path, ...(key === undefined ? [] : [key])].map((part) => toSafeName(String(part))).join(".");
  if (issue.code === "unrecognized_keys") {
    const message = "unknown field; check the spelling or leave it out";
    return issue.keys.slice(0, ISSUES_MAX).map((key) => ({ field: at(key), message }));
  }
  const meant = issue.code === "invalid_union" ? findMeant(issue.errors) : undefined;
  if (meant !== undefined) return meant.flatMap((inner) => toFieldIssues(inner, path));
  const message = (issue.code === "invalid_key" ? issue.issues[0]?.message : undefined) ?? issue.message;
  return [{ field: at(), message: toLowerFirst(message) }];
}

/** The alternative of a union that the value is of the type of, by what is wrong with the value in it. */
function findMeant(alternatives: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  return alternatives.find((issues) => !issues.some((issue) => wanted(issue).length > 0));
}

/** What a value would have to be where it is of another type; nothing where the fault lies in it. */
function wanted(issue: Issue): readonly string[] {
  if (issue.path.length > 0) return [];
  if (issue.code === "invalid_type") return [TYPE_WORDS[issue.expected] ?? issue.expected];
  if (issue.code === "invalid_value") return issue.values.map(quote);
  if (issue.code === "invalid_union" && findMeant(issue.errors) === undefined)
    return issue.errors.flat().flatMap(wanted);
  return [];
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  string: "text",
  number: "a number",
  boolean: "a truth value",
  null: "`null`",
  array: "a list",
  object: "an object",
  record: "an object",
};

function oneOf(words: readonly string[]): string {
  return [...new Set(words)].join(" or ");
}

function quote(value: unknown): string {
  return `\`${String(value)}\``;
}

/** A field name comes from the caller: bounded and without invisible characters. */
function toSafeName(name: string): string {
  return name.replaceAll(/[^\x20-\x7e]/g, "?").slice(0, 80);
}

function toLowerFirst(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1);
}
