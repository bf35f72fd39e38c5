import type { SecretPattern } from "./secret-patterns.ts";

/** Characters that prose has few of, a bit each: a text without an underscore is searched for no `ghp_`. */
export const MARKS = "_-.:/?&=";

interface Candidate {
  readonly pattern: SecretPattern;
  /** What is left to ask for, where the text holds the marks that it does. */
  readonly needs: readonly string[];
}

/**
 * Picks the patterns that could match a text by what they need in it, which is far cheaper than trying them: most texts hold no
 * secret. Gives every pattern that matches, in the order given, and few others.
 */
export function selectPatterns(patterns: readonly SecretPattern[]): (text: string) => readonly SecretPattern[] {
  const byMarks: (readonly Candidate[] | undefined)[] = [];
  return (text) => {
    const marks = marksIn(text);
    const candidates = (byMarks[marks] ??= candidatesFor(patterns, marks));
    const lowered = text.toLowerCase();
    const found: SecretPattern[] = [];
    for (const { pattern, needs } of candidates) {
      const searched = pattern.pattern.ignoreCase ? lowered : text;
      if (needs.some((part) => searched.includes(part))) found.push(pattern);
    }
    return found;
  };
}

function candidatesFor(patterns: readonly SecretPattern[], marks: number): readonly Candidate[] {
  return patterns
    .filter((pattern) => pattern.marks === undefined || (marksIn(pattern.marks) & marks) !== 0)
    .map((pattern) => ({ pattern, needs: pattern.needs.filter((part) => (marksIn(part) & ~marks) === 0) }))
    .filter(({ needs }) => needs.length > 0);
}

/** One search for one character each: the engine does that many characters at a time. */
function marksIn(text: string): number {
  let found = 0;
  for (let bit = 0; bit < MARKS.length; bit += 1) if (text.includes(MARKS.charAt(bit))) found |= 1 << bit;
  return found;
}
