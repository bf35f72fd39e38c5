import JSON5 from "json5";
import { type ParseError, parse as parseJsonc, printParseErrorCode } from "jsonc-parser";
import { parse as parseToml, TomlError } from "smol-toml";
import { parse as parseYaml, YAMLParseError } from "yaml";
import type { ConfigFormat } from "./client-definition.ts";

export type ParsedConfig =
  | { readonly status: "parsed"; readonly value: unknown }
  | { readonly status: "malformed"; readonly line: number; readonly column: number; readonly reason: string };

/** No configuration nests deeper; parsers that recurse would overflow the stack. */
const NESTING_MAX = 200;
/** YAML costs far more per byte than JSON. */
const SLOW_FORMAT_CHARACTERS_MAX = 2_000_000;

/** Parses a configuration of unknown origin. What a vendor's own parser forgives (comments, trailing commas) is forgiven. */
export function parseConfig(text: string, format: ConfigFormat): ParsedConfig {
  try {
    if (format === "json" || format === "jsonc") return parseJson(text);
    if (text.length > SLOW_FORMAT_CHARACTERS_MAX)
      return { status: "malformed", line: 1, column: 1, reason: "too large" };
    const deep = nestingProblem(text);
    if (deep !== undefined) return { status: "malformed", ...deep, reason: "nested too deeply" };
    return PARSERS[format](text);
  } catch (error) {
    return toMalformed(error);
  }
}

const PARSERS: Readonly<Record<"json5" | "toml" | "toml-plist" | "yaml", (text: string) => ParsedConfig>> = {
  json5: (text) => ({ status: "parsed", value: JSON5.parse<unknown>(text) }),
  toml: (text) => ({ status: "parsed", value: parseToml(text) }),
  // The TOML was taken out of the list when it was read.
  "toml-plist": (text) => ({ status: "parsed", value: parseToml(text) }),
  // Aliases are counted while they are expanded: "billion laughs" ends after 100.
  yaml: (text) => ({ status: "parsed", value: parseYaml(text, { maxAliasCount: 100, logLevel: "silent" }) }),
};

function parseJson(text: string): ParsedConfig {
  if (text.trim() === "") return { status: "parsed", value: {} };
  try {
    const value: unknown = JSON.parse(text);
    return { status: "parsed", value };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
  }
  const deep = nestingProblem(text);
  if (deep !== undefined) return { status: "malformed", ...deep, reason: "nested too deeply" };
  const errors: ParseError[] = [];
  const value: unknown = parseJsonc(text, errors, { allowTrailingComma: true });
  const [first] = errors;
  if (first === undefined) return { status: "parsed", value };
  return { status: "malformed", ...positionOf(text, first.offset), reason: words(printParseErrorCode(first.error)) };
}

function toMalformed(error: unknown): ParsedConfig {
  if (error instanceof YAMLParseError) {
    const at = error.linePos?.[0];
    return { status: "malformed", line: at?.line ?? 1, column: at?.col ?? 1, reason: words(error.code) };
  }
  if (error instanceof TomlError)
    return { status: "malformed", line: error.line, column: error.column, reason: "invalid toml" };
  if (error instanceof Error) {
    return {
      status: "malformed",
      line: numberField(error, "lineNumber"),
      column: numberField(error, "columnNumber"),
      reason: "invalid content",
    };
  }
  throw error;
}

function numberField(error: Error, name: string): number {
  const value: unknown = Reflect.get(error, name);
  return typeof value === "number" ? value : 1;
}

// Only the kind of the fault is told: a parser's own message quotes the file, and the file may hold secrets.
function words(code: string): string {
  return code
    .replaceAll(/([a-z])([A-Z])/g, "$1 $2")
    .replaceAll("_", " ")
    .toLowerCase();
}

function nestingProblem(text: string): { line: number; column: number } | undefined {
  let depth = 0;
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === 0x7b || code === 0x5b) depth += 1;
    else if (code === 0x7d || code === 0x5d) depth -= 1;
    if (depth > NESTING_MAX) return positionOf(text, index);
  }
  return undefined;
}

function positionOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - before.lastIndexOf("\n") };
}
