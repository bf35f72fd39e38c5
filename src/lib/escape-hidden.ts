// Control characters, format and other ignorable ones (zero-width, bidi, tags, fillers, variation selectors), private use,
// unassigned, lone surrogates, line and paragraph separators; but not tab, newline and the variation selector of emoji.
const HIDDEN = /[[\p{Cc}\p{Cf}\p{Co}\p{Cn}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]--[\t\n]--\u{fe0f}]/gv;

const CHARACTERS_MAX = 65_536;
const DEPTH_MAX = 64;

/**
 * The same value with every string (member names too) made visible: control and invisible characters become `\u{…}` escapes. What
 * is longer than 64 Ki characters or lies deeper than 64 levels is left out, and the text in its place says so.
 */
export function escapeHidden(value: unknown, depth = 0): unknown {
  if (typeof value === "string") return escapeLong(value);
  if (typeof value !== "object" || value === null) return value;
  if (depth >= DEPTH_MAX) return `…[what lies deeper than ${DEPTH_MAX} levels is left out here]`;
  if (Array.isArray(value)) return value.map((element) => escapeHidden(element, depth + 1));
  const members = Object.entries(value).map(([name, member]) => [escapeLong(name), escapeHidden(member, depth + 1)]);
  return Object.fromEntries(members);
}

/** One text, as `escapeHidden` shows it, cut where it is longer than told. */
export function escapeHiddenText(text: string, charactersMax = CHARACTERS_MAX): string {
  const bounded = text.length > charactersMax ? `${text.slice(0, charactersMax)}…` : text;
  return bounded.replaceAll(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/**
 * JSON in which every hidden character is a `\uXXXX` escape: the very same value to who parses it, and safe to look at in a
 * terminal.
 */
export function toVisibleJson(value: unknown, indent = 2): string {
  // Outside its strings JSON is plain ASCII without a hidden character, so that only what is inside strings is replaced.
  return JSON.stringify(value, null, indent).replaceAll(HIDDEN, (character) =>
    character.replaceAll(/[^]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`),
  );
}

function escapeLong(text: string): string {
  const left = text.length - CHARACTERS_MAX;
  if (left <= 0) return escapeHiddenText(text);
  return `${escapeHiddenText(text.slice(0, CHARACTERS_MAX))}…[${left} more characters are left out here]`;
}
