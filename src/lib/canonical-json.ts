import { assert } from "./assert.ts";

/**
 * JSON Canonicalization Scheme (RFC 8785): one byte sequence per value, so that a hash of it means the value.
 * Members with the value `undefined` are left out, as `JSON.stringify` does. Throws on what JSON cannot hold.
 */
export function toCanonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "string") {
    assert(value.isWellFormed(), "canonical JSON holds no lone surrogate");
    return JSON.stringify(value);
  }
  if (typeof value === "number") {
    assert(Number.isFinite(value), "canonical JSON holds finite numbers only");
    return JSON.stringify(value);
  }
  if (Array.isArray(value)) return `[${value.map((item) => toCanonicalJson(item ?? null)).join(",")}]`;
  assert(typeof value === "object", `canonical JSON holds no ${typeof value}`);
  // RFC 8785 §3.2.3: member names are sorted by UTF-16 code units, which is what the default sort compares.
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .toSorted(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => `${JSON.stringify(name)}:${toCanonicalJson(member)}`);
  return `{${members.join(",")}}`;
}
