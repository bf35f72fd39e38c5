import { compilePattern, type PatternPart } from "./like.ts";

/** The globs of rules and assignments: `*` is any run of characters, everything else is itself. */
export function matchesGlob(glob: string, text: string): boolean {
  return compileGlob(glob)(text);
}

/** A glob as a test, for one that is asked often. */
export function compileGlob(glob: string): (text: string) => boolean {
  const parts = glob
    .split("*")
    .flatMap((literal, index): PatternPart[] => (index === 0 ? [{ literal }] : ["wildcard", { literal }]));
  return compilePattern(parts);
}
