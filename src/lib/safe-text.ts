// Control and invisible characters: Cc, Cf (zero-width, bidi controls, tags), separators, fillers, private use, unassigned.
const HIDDEN = /[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\u2028\u2029\u115f\u1160\u3164\uffa0]/gu;

/**
 * A text from outside made fit to be shown or read by a model: control and invisible characters become `\u{…}` escapes, and
 * what is longer than `charactersMax` is cut with `…`.
 */
export function toSafeText(text: string, charactersMax: number): string {
  const bounded = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  return bounded.replaceAll(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
