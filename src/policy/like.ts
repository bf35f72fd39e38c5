/** One element of a Cedar pattern: literal text, or any run of characters. */
export type PatternPart = { readonly literal: string } | "wildcard";

/**
 * Compiles a `like` pattern. The match is linear for the usual one or two wildcards and at worst quadratic: it takes
 * the leftmost place for each literal, which is right because a wildcard matches anything.
 */
export function compilePattern(parts: readonly PatternPart[]): (text: string) => boolean {
  const literals = splitAtWildcards(parts);
  const [first = ""] = literals;
  if (literals.length === 1) return (text) => text === first;
  const last = literals.at(-1) ?? "";
  const middle = literals.slice(1, -1).filter((literal) => literal !== "");
  return (text) => {
    if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last)) return false;
    const end = text.length - last.length;
    let position = first.length;
    for (const literal of middle) {
      const found = text.indexOf(literal, position);
      if (found < 0 || found + literal.length > end) return false;
      position = found + literal.length;
    }
    return true;
  };
}

function splitAtWildcards(parts: readonly PatternPart[]): string[] {
  const literals = [""];
  for (const part of parts) {
    if (part === "wildcard") literals.push("");
    else literals.push((literals.pop() ?? "") + part.literal);
  }
  return literals;
}
