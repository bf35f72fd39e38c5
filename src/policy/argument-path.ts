const PLAIN_SEGMENT = /^[^."\s\p{Cc}]+$/u;
const SEGMENT = /(?:^|\.)(?:"((?:[^"\\]|\\.)*)"|([^."\s]+))/gy;

/** How an argument path is written: segments joined by dots, those with dots, quotes or spaces as JSON text. */
export function formatPath(path: readonly string[]): string {
  return path.map((segment) => (PLAIN_SEGMENT.test(segment) ? segment : JSON.stringify(segment))).join(".");
}

/** The segments of a written path (`a.b`, `a."b.c".d`); `undefined` if it is none. */
export function parsePath(text: string): string[] | undefined {
  const segments: string[] = [];
  let end = 0;
  for (const match of text.matchAll(SEGMENT)) {
    const segment = match[2] ?? unquote(match[1] ?? "");
    if (segment === undefined) return undefined;
    segments.push(segment);
    end = match.index + match[0].length;
  }
  return segments.length > 0 && end === text.length && !text.startsWith(".") ? segments : undefined;
}

function unquote(inner: string): string | undefined {
  try {
    const text: unknown = JSON.parse(`"${inner}"`);
    return typeof text === "string" ? text : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
