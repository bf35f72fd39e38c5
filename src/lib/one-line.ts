const BREAKS_BETWEEN_PARTS = /[\n\r]/g;
/** What other readers of lines than those of the protocol end a line at: Node's `readline`, Python's `splitlines`. */
const BREAKS_IN_TEXTS = /[\u0085\u2028\u2029]/g;
/** The bytes that any of them begins with. */
const FIRST_BYTES = [0x0a, 0x0d, 0xc2, 0xe2];

/**
 * The same JSON on one line, whoever reads it. `json` MUST be valid: a raw line feed or carriage return can then only be white space
 * (RFC 8259 §2), where a space says the same, and every other break can only be part of a text, where an escape does (§7).
 */
export function toOneLine(json: string): string {
  return json
    .replace(BREAKS_BETWEEN_PARTS, " ")
    .replace(BREAKS_IN_TEXTS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** `toOneLine` for UTF-8; the very same bytes where there is nothing to change. */
export function bytesOnOneLine(json: Buffer): Buffer {
  if (!FIRST_BYTES.some((byte) => json.includes(byte))) return json;
  const text = json.toString("utf8");
  const line = toOneLine(text);
  return line === text ? json : Buffer.from(line);
}
