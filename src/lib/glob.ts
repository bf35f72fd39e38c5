/** Tells whether a text matches a glob whose only special character is `*` (any run of characters, `/` included). */
export type GlobMatcher = (text: string) => boolean;

/** Compiles globs into one matcher that is true where any of them matches. Linear in the text for each glob: no backtracking bomb. */
export function compileGlobs(globs: readonly string[]): GlobMatcher {
  if (globs.includes("*")) return () => true;
  const exact = new Set(globs.filter((glob) => !glob.includes("*")));
  const patterns = globs.filter((glob) => glob.includes("*")).map((glob) => glob.split("*"));
  return (text) => exact.has(text) || patterns.some((parts) => matchesParts(parts, text));
}

/** The literal parts must stand in the text in order, the first at its start and the last at its end; the leftmost place of each suffices. */
function matchesParts(parts: readonly string[], text: string): boolean {
  const first = parts[0] ?? "";
  const last = parts.at(-1) ?? "";
  if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
  let position = first.length;
  const end = text.length - last.length;
  for (const part of parts.slice(1, -1)) {
    const found = text.indexOf(part, position);
    if (found === -1 || found + part.length > end) return false;
    position = found + part.length;
  }
  return true;
}
