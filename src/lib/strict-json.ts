import { AppError } from "./errors.ts";

/** Deeper input is no input of ours, and recursion over it must stay cheap. */
const DEPTH_MAX = 64;

/**
 * Parses JSON that has one reading only. Throws `invalid_input` for invalid UTF-8, a byte-order mark, text that is not JSON, more
 * than 64 levels, and an object that names a member twice (parsers differ in which one they take, RFC 8259 §4).
 */
export function parseStrictJson(bytes: Uint8Array): unknown {
  const text = decode(bytes);
  const value = parse(text);
  checkNames(text);
  return value;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new AppError("invalid_input", "the body is not valid UTF-8", { cause });
  }
}

function parse(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (cause) {
    // The parser's own words may repeat the body, which may hold a secret.
    throw new AppError("invalid_input", "the body is not valid JSON", { cause });
  }
}

// In valid JSON every quote outside a string opens one, so strings and brackets are all that has to be recognized.
const TOKEN = /"(?:[^"\\]|\\.)*"|[{}[\]:]/g;

/** MUST be given valid JSON. */
function checkNames(text: string): void {
  const open: (Set<string> | undefined)[] = [];
  let latest: string | undefined;
  for (const [token] of text.matchAll(TOKEN)) {
    if (token === "{" || token === "[") open.push(token === "{" ? new Set() : undefined);
    else if (token === "}" || token === "]") open.pop();
    else if (token === ":") addName(open.at(-1), latest);
    else latest = token;
    if (open.length > DEPTH_MAX) {
      throw new AppError("invalid_input", `the body is nested deeper than ${DEPTH_MAX} levels; flatten it`);
    }
  }
}

function addName(names: Set<string> | undefined, token: string | undefined): void {
  if (names === undefined || token === undefined) return;
  // Two spellings of one name (`"a"` and `"\u0061"`) are the same member.
  const name: unknown = JSON.parse(token);
  if (typeof name !== "string") return;
  if (names.has(name))
    throw new AppError("invalid_input", "an object in the body names a member twice; name each once");
  names.add(name);
}
