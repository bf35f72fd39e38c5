/* oxlint-disable no-control-regex, no-misleading-character-class -- this file looks for exactly these characters, one by one */
/** Kinds of characters that a reader does not see and a model does. */
export type HiddenKind =
  | "tag"
  | "bidi"
  | "zero-width"
  | "variation-run"
  | "filler"
  | "control"
  | "terminal-escape"
  | "mixed-script";

export interface HiddenCharacters {
  readonly kind: HiddenKind;
  /** How many such characters, or words for `mixed-script`. */
  readonly count: number;
  /** 1-based line of the first one. */
  readonly line: number;
  /** The hidden message, if the characters encode one (tags spell ASCII). At most 200 characters. */
  readonly decoded?: string | undefined;
}

/**
 * Finds hidden characters in a text, one entry for each kind. What writing needs is left alone: joiners inside emoji and in scripts that
 * use them, flags of England, Scotland and Wales, a byte-order mark at the very start, single variation selectors.
 */
export function findHiddenUnicode(text: string): HiddenCharacters[] {
  if (!MAYBE_HIDDEN.test(text)) return [];
  return KINDS.flatMap(({ kind, pattern, isHarmless }) => {
    const matches = [...text.matchAll(pattern)].filter((match) => isHarmless?.(match, text) !== true);
    const [first] = matches;
    if (first === undefined) return [];
    const decoded = kind === "tag" ? decodeTags(matches.map((match) => match[0]).join("")) : undefined;
    return [{ kind, count: countOf(kind, matches), line: lineOf(text, first.index), decoded }];
  });
}

/** The text as a model is likely to understand it: compatibility forms folded, hidden characters removed, look-alike letters made Latin. */
export function toVisibleText(text: string): string {
  if (ONLY_ASCII.test(text)) return text;
  const folded = text.normalize("NFKC").replaceAll(REMOVABLE, "");
  return folded.replaceAll(MIXED_WORD, (word) => toLatinSkeleton(word));
}

/** A name with look-alike Cyrillic and Greek letters replaced, lower case: two names with equal skeletons look equal. */
export function toLatinSkeleton(text: string): string {
  return Array.from(text)
    .map((letter) => LOOK_ALIKE.get(letter) ?? letter)
    .join("");
}

/** 1-based line number of an index. */
export function lineOf(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at >= 0 && at < index; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

interface Kind {
  readonly kind: HiddenKind;
  readonly pattern: RegExp;
  readonly isHarmless?: (match: RegExpExecArray, text: string) => boolean;
}

const ONLY_ASCII = /^[\x00-\x7f]*$/;
const MAYBE_HIDDEN = /[^\t\n\r\x20-\x7e]/;
const REMOVABLE =
  /[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0]|[\u{e0000}-\u{e0fff}]|\u001b\[[0-9;?]{0,16}[A-Za-z]/gu;
/** A word that mixes Latin with Cyrillic or Greek: honest words do not. */
const MIXED_WORD =
  /(?<![\p{L}])(?=\p{L}{0,40}\p{Script=Latin})(?=\p{L}{0,40}[\p{Script=Cyrillic}\p{Script=Greek}])\p{L}{2,80}/gu;

const KINDS: readonly Kind[] = [
  { kind: "tag", pattern: /[\u{e0000}-\u{e007f}]+/gu, isHarmless: isFlag },
  { kind: "bidi", pattern: /[\u202a-\u202e\u2066-\u2069]/g },
  {
    kind: "zero-width",
    // Joiners shape Arabic, Indic and emoji; only between Latin letters, digits or blanks have they no work to do.
    pattern: /[\u200b\u2060-\u2064\ufeff]|(?<=[\x20-\x7e])[\u200c\u200d\u00ad]+(?=[\x20-\x7e])/g,
    isHarmless: (match) => match.index === 0 && match[0] === "\ufeff",
  },
  {
    kind: "variation-run",
    // One after each letter carries a message as well as a run does: a variant has a Chinese character, a symbol or a digit, no letter.
    pattern:
      /[\ufe00-\ufe0f]{3,}|(?<=[A-Za-z])[\ufe00-\ufe0f]|[\u{e0100}-\u{e01ef}]{2,}|(?<!\p{Script=Han})[\u{e0100}-\u{e01ef}]/gu,
  },
  { kind: "filler", pattern: /[\u115f\u1160\u3164\uffa0\u206a-\u206f]/g },
  { kind: "terminal-escape", pattern: /[\u001b\u009b]\[?[0-9;?]{0,16}[A-Za-z]?/g },
  { kind: "control", pattern: /[\u0000-\u0008\u000e-\u001a\u001c-\u001f\u007f]/g },
  { kind: "mixed-script", pattern: MIXED_WORD, isHarmless: (match) => !hasLookAlike(match[0]) },
];

function isFlag(match: RegExpExecArray, text: string): boolean {
  const isAfterBlackFlag = text.slice(Math.max(0, match.index - 2), match.index) === "\u{1f3f4}";
  // UTS #51: a subdivision flag is a black flag, at most six tag letters, and the cancel tag.
  return isAfterBlackFlag && Array.from(match[0]).length <= 7 && match[0].endsWith("\u{e007f}");
}

function decodeTags(tags: string): string {
  return Array.from(tags)
    .map((tag) => (tag.codePointAt(0) ?? 0) - 0xe0000)
    .filter((code) => code >= 0x20 && code < 0x7f)
    .slice(0, 200)
    .map((code) => String.fromCharCode(code))
    .join("");
}

function countOf(kind: HiddenKind, matches: readonly RegExpExecArray[]): number {
  if (kind === "mixed-script" || kind === "terminal-escape") return matches.length;
  return matches.reduce((count, match) => count + Array.from(match[0]).length, 0);
}

const CYRILLIC = "аеорсухіјѕԁһӏԛԝАВЕКМНОРСТХІЅЈ";
const CYRILLIC_AS = "aeopcyxijsdhlqwABEKMHOPCTXISJ";
const GREEK = "ονρικυαΑΒΕΖΗΙΚΜΝΟΡΤΥΧ";
const GREEK_AS = "ovpikuaABEZHIKMNOPTYX";
const LOOK_ALIKE: ReadonlyMap<string, string> = new Map(
  Array.from(CYRILLIC + GREEK).map((letter, index) => [letter, (CYRILLIC_AS + GREEK_AS).charAt(index)]),
);

/** "µs", "Δt" and "αβ-test" are honest mixtures: only a look-alike among mostly Latin letters is a disguise. */
function hasLookAlike(word: string): boolean {
  const letters = Array.from(word);
  const disguised = letters.filter((letter) => LOOK_ALIKE.has(letter)).length;
  const latin = letters.filter((letter) => /[A-Za-z]/.test(letter)).length;
  return disguised > 0 && latin >= 2;
}
