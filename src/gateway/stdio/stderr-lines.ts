import type { Readable } from "node:stream";

/** One line that a child wrote to its standard error, masked, escaped and bounded. */
export interface StderrLine {
  readonly text: string;
  /** Lines that were dropped before this one, because the child wrote too many. */
  readonly dropped: number;
}

export interface StderrOptions {
  /** Hides secrets in a text. */
  readonly maskText: (text: string) => string;
  /** Exact secrets of this child: what is declared in its environment. */
  readonly secrets: readonly string[];
  readonly onLine: (line: StderrLine) => void;
}

const LINE_BYTES_MAX = 16 * 1024;
const LINE_LENGTH_MAX = 1000;
const TAIL_LINES = 5;
// A stack trace passes whole; a flood costs one second's worth of lines.
const LINES_PER_SECOND = 50;
// Shorter values are words that occur by chance.
const SECRET_LENGTH_MIN = 6;

/** Reads the stream to its end, so that the child never blocks on it; gives the last lines on demand. */
export function readStderr(stream: Readable, options: StderrOptions): () => readonly string[] {
  const tail: string[] = [];
  let rest = "";
  let isOverlong = false;
  let windowStart = 0;
  let inWindow = 0;
  let dropped = 0;

  function take(line: string): void {
    const now = performance.now();
    if (now - windowStart > 1000) [windowStart, inWindow] = [now, 0];
    inWindow += 1;
    if (inWindow > LINES_PER_SECOND) {
      dropped += 1;
      return;
    }
    const text = clean(line, options);
    if (text === "") return;
    tail.push(text);
    if (tail.length > TAIL_LINES) tail.shift();
    options.onLine({ text, dropped });
    dropped = 0;
  }

  stream.setEncoding("utf8");
  stream.on("data", (chunk: string) => {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      // The first part of an overlong line was taken already.
      if (!isOverlong) take(line);
      isOverlong = false;
    }
    if (rest.length <= LINE_BYTES_MAX) return;
    if (!isOverlong) take(rest);
    isOverlong = true;
    rest = "";
  });
  stream.on("end", () => {
    if (rest !== "" && !isOverlong) take(rest);
  });
  // The stream's end says all that matters.
  stream.on("error", () => undefined);
  return () => [...tail];
}

function clean(line: string, { maskText, secrets }: StderrOptions): string {
  let text = line.trimEnd();
  for (const secret of secrets) if (secret.length >= SECRET_LENGTH_MIN) text = text.replaceAll(secret, "***");
  return escapeInvisible(maskText(text)).slice(0, LINE_LENGTH_MAX);
}

/** Control and format characters could rewrite a terminal or hide words from a reader. */
function escapeInvisible(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu, (found) => {
    const code = found.codePointAt(0) ?? 0;
    return code === 9 ? " " : `\\u{${code.toString(16)}}`;
  });
}
