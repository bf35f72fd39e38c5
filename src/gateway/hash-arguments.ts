import { createHash } from "node:crypto";
import { toCanonicalJson } from "../lib/canonical-json.ts";

/**
 * SHA-256, hex, of the canonical form (RFC 8785) of JSON arguments: the order of members does not count, every value does. Numbers
 * that a double does not hold as written (`1e400`, `9007199254740993`, `1.0`), and text that is no Unicode, count as written, because an upstream may read more
 * digits than we do.
 */
export function hashArguments(json: string): string {
  const unusual: string[] = [];
  const value: unknown = JSON.parse(json, (_name: string, found: unknown, context?: { readonly source?: string }) => {
    if (typeof found === "string") return toKnownText(found, unusual);
    if (typeof found !== "number") return found;
    const source = context?.source ?? "";
    if (String(found) !== source) unusual.push(source);
    return Number.isFinite(found) ? found : null;
  });
  // Canonical JSON holds no raw line break, so that what follows one is nothing else.
  const rest = unusual.length === 0 ? "" : `\n${JSON.stringify(unusual)}`;
  return createHash("sha256")
    .update(toCanonicalJson(value ?? null) + rest)
    .digest("hex");
}

/** Canonical JSON holds no half of a surrogate pair either. */
function toKnownText(text: string, unusual: string[]): string {
  if (text.isWellFormed()) return text;
  unusual.push(JSON.stringify(text));
  return text.toWellFormed();
}
