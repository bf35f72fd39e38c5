import type { Span } from "./envelope/json-scanner.ts";

/** Puts `text` in the place of a span of a message. */
export interface Edit extends Span {
  readonly text: string | Buffer;
}

/** The message with the edits made; every other byte stays as it is. The spans MUST NOT overlap. */
export function splice(bytes: Buffer, edits: readonly Edit[]): Buffer {
  if (edits.length === 0) return bytes;
  const pieces: Buffer[] = [];
  let from = 0;
  for (const { start, end, text } of edits.toSorted((left, right) => left.start - right.start)) {
    pieces.push(bytes.subarray(from, start), typeof text === "string" ? Buffer.from(text) : text);
    from = end;
  }
  pieces.push(bytes.subarray(from));
  return Buffer.concat(pieces);
}
