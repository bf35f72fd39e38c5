/*
 * PostgreSQL's text holds no NUL, but agents and upstreams choose names that the log must keep exactly. A private-use character
 * stands for it, and for itself, so that every text comes back as it was.
 */
const MARK = "\u{F0000}";
const ENCODABLE = /[\0\u{F0000}]/gu;
const ENCODED = /\u{F0000}([01])/gu;

/** The form in which text that others chose is stored and searched. */
export function toStoredText(text: string): string {
  if (!text.includes("\0") && !text.includes(MARK)) return text;
  return text.replaceAll(ENCODABLE, (character) => (character === "\0" ? `${MARK}0` : `${MARK}1`));
}

/** The text of which `toStoredText` made this. */
export function fromStoredText(stored: string): string {
  return stored.replaceAll(ENCODED, (_, kind) => (kind === "0" ? "\0" : MARK));
}
