import { createHash } from "node:crypto";
import { toCanonicalJson } from "../lib/canonical-json.ts";

/**
 * SHA-256, hex, of the canonical form (RFC 8785) of JSON arguments: the order of members does not count, every value does. Numbers
 * that a double does not hold as written (`1e400`, `9007199254740993`, `1.0`), and text that is no Unicode, count as written, because an upstream may read more
 * digits than we do.
 */
export function hashArguments(json: string): string {
  const value: unknown = JSON.parse(json, (_name: string, found: unknown, context?: { readonly source?: string }) => {
    if (typeof found === "string") return tagText(found);
    if (typeof found === "number") return tagNumber(found, context?.source ?? "");
    return found;
  });
  return createHash("sha256")
    .update(toCanonicalJson(value ?? null))
    .digest("hex");
}

/** Every text begins with a mark, so that no text equals what stands for something else. */
function tagText(text: string): string {
  // Canonical JSON holds no half of a surrogate pair; as an escape it is plain ASCII.
  return text.isWellFormed() ? `text:${text}` : `escaped:${JSON.stringify(text)}`;
}

function tagNumber(number: number, source: string): number | string {
  return String(number) === source ? number : `number:${source}`;
}
