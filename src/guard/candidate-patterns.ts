import type { SecretPattern } from "./secret-patterns.ts";

/** Characters that prose has few of, a bit each: a text without an underscore is searched for no `ghp_`. */
export const MARKS = "_-.:/?&=%";

interface Candidate {
  readonly pattern: SecretPattern;
  /** What is left to ask for, where the text holds the marks that it does. */
  readonly needs: readonly string[];
}

/** The candidates for texts that hold the same marks. */
interface Candidates {
  readonly all: readonly Candidate[];
  /** Found in a text that any of them could match. One search for all that they need costs less than one for each. */
  readonly anyNeed: RegExp;
}

const NONE: readonly SecretPattern[] = [];

/**
 * Picks the patterns that could match a text by what they need in it, which is far cheaper than trying them: most texts hold no
 * secret. Gives every pattern that matches, in the order given, and few others.
 */
export function selectPatterns(patterns: readonly SecretPattern[]): (text: string) => readonly SecretPattern[] {
  const byMarks: (Candidates | undefined)[] = [];
  return (text) => {
    const marks = marksIn(text);
    const { all, anyNeed } = (byMarks[marks] ??= toCandidates(patterns, marks));
    if (!anyNeed.test(text)) return NONE;
    const lowered = text.toLowerCase();
    return all
      .filter(({ pattern: { pattern }, needs }) => {
        const searched = pattern.ignoreCase ? lowered : text;
        return needs.some((part) => searched.includes(part));
      })
      .map(({ pattern }) => pattern);
  };
}

function toCandidates(patterns: readonly SecretPattern[], marks: number): Candidates {
  const all = patterns
    .filter((pattern) => pattern.marks === undefined || (marksIn(pattern.marks) & marks) !== 0)
    .map((pattern) => ({ pattern, needs: pattern.needs.filter((part) => (marksIn(part) & ~marks) === 0) }))
    .filter(({ needs }) => needs.length > 0);
  const needs = all.flatMap(({ pattern, needs }) => needs.map((part) => toSource(part, pattern.pattern.ignoreCase)));
  return { all, anyNeed: needs.length === 0 ? /(?!)/ : new RegExp([...new Set(needs)].join("|")) };
}

/** The source of a pattern for this ASCII text, or for it in any case. */
function toSource(part: string, ignoreCase: boolean): string {
  return Array.from(part, (character) =>
    ignoreCase ? `[${escaped(character)}${escaped(character.toUpperCase())}]` : escaped(character),
  ).join("");
}

function escaped(character: string): string {
  return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
}

/** One search for one character each: the engine does that many characters at a time. */
function marksIn(text: string): number {
  let found = 0;
  for (let bit = 0; bit < MARKS.length; bit += 1) if (text.includes(MARKS.charAt(bit))) found |= 1 << bit;
  return found;
}
