// Control characters, format and other ignorable ones (zero-width, bidi, tags, fillers, variation selectors), private use,
// unassigned, lone surrogates, line and paragraph separators; but not tab, newline and the variation selector of emoji.
const HIDDEN = /[[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]--[\t\n]--\u{fe0f}]/gv;

const CHARACTERS_MAX = 65_536;
const DEPTH_MAX = 64;

/**
 * The same value with every string (member names too) made visible: control and invisible characters become `\u{…}` escapes, and
 * what is longer than 64 Ki characters is cut with `…`. What lies deeper than 64 levels becomes `null`.
 */
export function escapeHidden(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return escapeHiddenText(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEPTH_MAX) return null;
  if (Array.isArray(value)) return value.map((element) => escapeHidden(element, depth + 1));
  const members = Object.entries(value).map(([name, member]) => [
    escapeHiddenText(name),
    escapeHidden(member, depth + 1),
  ]);
  return Object.fromEntries(members);
}

/** One text, as `escapeHidden` shows it, cut where it is longer than told. */
export function escapeHiddenText(text: string, charactersMax = CHARACTERS_MAX): string {
  const bounded = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  return bounded.replaceAll(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}
