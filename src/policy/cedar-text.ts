import { AppError } from "../lib/errors.ts";
import { NAMESPACE } from "./schema.ts";

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/;
const RESERVED_WORDS: ReadonlySet<string> = new Set("true false if then else in is like has __cedar".split(" "));

/** A Cedar string literal: the text cannot end it, whatever it holds. */
export function quote(text: string): string {
  return `"${escape(text)}"`;
}

/** A Cedar pattern of literal pieces with a wildcard between each two. */
export function pattern(literals: readonly string[]): string {
  return `"${literals.map((literal) => escape(literal).replaceAll("*", String.raw`\*`)).join("*")}"`;
}

/** The pattern of a glob: `*` is any run of characters, everything else is itself. */
export function globPattern(glob: string): string {
  return pattern(glob.split("*"));
}

export function entity(type: string, id: string): string {
  return `${NAMESPACE}::${type}::${quote(id)}`;
}

/** `.name` or `["name"]`. */
export function member(name: string): string {
  return isPlainName(name) ? `.${name}` : `[${quote(name)}]`;
}

/** `left has name`. */
export function has(left: string, name: string): string {
  return `${left} has ${isPlainName(name) ? name : quote(name)}`;
}

/** Whether the argument at a path, written as `formatPath` does, is of a kind that Cedar cannot test for. */
export function argumentIs(kind: "array" | "decimal" | "object", path: string): string {
  return `context.kinds.contains(${quote(`${path}:${kind}`)})`;
}

export function all(tests: readonly string[]): string {
  return tests.length === 0 ? "true" : join(tests, "&&");
}

export function any(tests: readonly string[]): string {
  return tests.length === 0 ? "false" : join(tests, "||");
}

/** Balanced, because the parsers' stacks limit the depth of a tree but not its width. */
function join(tests: readonly string[], operator: "&&" | "||"): string {
  if (tests.length <= 16) return tests.length === 1 ? tests.join("") : tests.map(parenthesize).join(` ${operator} `);
  const middle = Math.ceil(tests.length / 2);
  return `(${join(tests.slice(0, middle), operator)}) ${operator} (${join(tests.slice(middle), operator)})`;
}

/** Comparisons bind tighter than `&&` and `||`; everything that does not is wrapped. */
function parenthesize(test: string): string {
  return /&&|\|\||^if /.test(test) ? `(${test})` : test;
}

function isPlainName(name: string): boolean {
  return IDENTIFIER.test(name) && !RESERVED_WORDS.has(name);
}

function escape(text: string): string {
  if (!text.isWellFormed()) {
    throw new AppError("invalid_input", "a policy's text holds half of a surrogate pair; send well-formed Unicode");
  }
  return text
    .replaceAll("\\", "\\\\")
    .replaceAll('"', String.raw`\"`)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
