/** Base64 of 18 bytes: no known form of a secret fits in less together with what tells of it. */
const RUN_MIN = 24;
const READABLE = /^[\t\n\r\x20-\x7e]+$/;
/** The first of four characters holds the upper bits of a byte. */
const BEGINS_ASCII = /^(?:[A-Za-f]...){6}/;
const PLUS = 0x2b;
/** Where lines of Base64 are broken: RFC 7468 §2, RFC 2045 §6.8. What they encode goes on in the next. */
const WRAPPED: ReadonlySet<number> = new Set([64, 76]);

/**
 * Replaces what is Base64 of a readable text that `mask` changes, such as a file or a header: it is as good as the text. One level deep.
 * Linear, and cheap where no word is long: it looks at every 24th character only.
 */
export function maskEncoded(text: string, mask: (text: string) => string): string {
  let masked = "";
  let copied = 0;
  for (let at = RUN_MIN - 1; at < text.length; at += RUN_MIN) {
    if (!isBase64(text, at)) continue;
    const start = runStart(text, at);
    // The next long run begins behind this one.
    at = runEnd(text, at);
    if (at - start < RUN_MIN || !holdsSecret(text.slice(start, at), mask)) continue;
    masked += `${text.slice(copied, start)}[masked:encoded]`;
    copied = at;
  }
  return copied === 0 ? text : masked + text.slice(copied);
}

function holdsSecret(run: string, mask: (text: string) => string): boolean {
  // By its beginning: nearly every path and every digest ends here.
  if (!BEGINS_ASCII.test(run) || !READABLE.test(decoded(run.slice(0, RUN_MIN)))) return false;
  const plain = decoded(run);
  return mask(plain) !== plain;
}

function decoded(run: string): string {
  return Buffer.from(run, "base64").toString("utf8");
}

function runStart(text: string, at: number): number {
  let start = at;
  while (start > 0 && isBase64(text, start - 1)) start -= 1;
  return start;
}

function runEnd(text: string, from: number): number {
  let lineStart = runStart(text, from);
  let end = from;
  for (;;) {
    while (end < text.length && isBase64(text, end)) end += 1;
    const next = WRAPPED.has(end - lineStart) ? behindLineEnd(text, end) : end;
    if (next === end || !isBase64(text, next)) return end;
    lineStart = next;
    end = next;
  }
}

function behindLineEnd(text: string, at: number): number {
  const feed = text[at] === "\r" ? at + 1 : at;
  return text[feed] === "\n" ? feed + 1 : at;
}

/** RFC 4648 §4, without padding. */
function isBase64(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return (
    (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a) || (code >= 0x2f && code <= 0x39) || code === PLUS
  );
}
