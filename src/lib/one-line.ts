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
  return escapeInTexts(json.replace(BREAKS_BETWEEN_PARTS, " "));
}

/** `toOneLine` for UTF-8; the very same bytes where there is nothing to change. */
export function bytesOnOneLine(json: Buffer): Buffer {
  if (!FIRST_BYTES.some((byte) => json.includes(byte))) return json;
  const text = json.toString("utf8");
  const line = toOneLine(text);
  return line === text ? json : Buffer.from(line);
}

/**
 * The same answer; where it is an event stream, with no break in the texts of its events but as JSON escapes. Each event MUST be JSON
 * on one line as the protocol ends lines.
 */
export function eventsOnOneLine(answer: Response): Response {
  const { body, headers, status } = answer;
  if (body === null || headers.get("content-type")?.startsWith("text/event-stream") !== true) return answer;
  const [decoder, encoder] = [new TextDecoder("utf-8", { ignoreBOM: true }), new TextEncoder()];
  const escaping = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) =>
      controller.enqueue(encoder.encode(escapeInTexts(decoder.decode(chunk, { stream: true })))),
  });
  return new Response(body.pipeThrough(escaping), { status, headers });
}

function escapeInTexts(json: string): string {
  return json.replace(BREAKS_IN_TEXTS, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
