import { findHiddenUnicode, lineOf, toVisibleText } from "./hidden-unicode.ts";
import { maskText } from "./mask-secrets.ts";
import { TEXT_RULES, type TextRule, type TextSurface } from "./text-rules.ts";

export type { TextSurface } from "./text-rules.ts";

/** One piece of evidence. `excerpt` is masked, bounded and free of control characters. */
export interface TextMatch {
  readonly ruleId: string;
  readonly title: string;
  readonly weight: number;
  readonly line: number;
  readonly excerpt: string;
}

export interface TextAnalysis {
  /** 0 to 1: independent rules add up as 1 − Π(1 − weight), each rule once. */
  readonly score: number;
  readonly isSuspicious: boolean;
  readonly matches: readonly TextMatch[];
}

/** One strong rule or two weak ones; measured in docs/detection.md. */
export const SUSPICION_THRESHOLD = 0.5;

const MATCHES_PER_RULE = 3;
/** Of all that is decoded at one level; more text inside a text is itself worth a look. */
const DECODED_BYTES_MAX = 1024 * 1024;
const NESTING_MAX = 2;

/**
 * Judges a text that a model will read: hidden characters, deterministic rules, and the same rules on what is encoded inside
 * (Base64, hex, binary digits; two levels). Reads the whole text, never only its head, in linear time.
 */
export function analyzeText(text: string, surface: TextSurface): TextAnalysis {
  const visible = toVisibleText(text);
  const lineAt = (index: number): number => lineOf(visible, index);
  const matches = [...hiddenMatches(text), ...ruleMatches({ text: visible, lineAt }, surface, 0)];
  const weights = new Map(matches.map((match) => [match.ruleId, match.weight]));
  const score = 1 - [...weights.values()].reduce((rest, weight) => rest * (1 - weight), 1);
  return { score: Math.round(score * 1000) / 1000, isSuspicious: score >= SUSPICION_THRESHOLD, matches };
}

const HIDDEN_WEIGHT = {
  tag: 0.95,
  bidi: 0.6,
  "zero-width": 0.3,
  "variation-run": 0.9,
  filler: 0.4,
  control: 0.3,
  "terminal-escape": 0.6,
  "mixed-script": 0.6,
} as const;

/** Scattered zero-width characters are sloppy copying (Wikipedia's coordinates have them); a long run carries a message. */
const ZERO_WIDTH_RUN = /(?:\u200b|\u200c|\u200d|\u2060|\ufeff){8,}/;

function hiddenMatches(text: string): TextMatch[] {
  return findHiddenUnicode(text).map((found) => ({
    ruleId: `unicode.${found.kind}`,
    title: `holds hidden characters (${found.kind})`,
    weight: found.kind === "zero-width" && ZERO_WIDTH_RUN.test(text) ? 0.8 : HIDDEN_WEIGHT[found.kind],
    line: found.line,
    excerpt: toExcerpt(found.decoded ?? `${String(found.count)} characters`),
  }));
}

/** A text, and where in what was given its parts stand. */
interface Located {
  readonly text: string;
  readonly lineAt: (index: number) => number;
}

function ruleMatches(located: Located, surface: TextSurface, depth: number): TextMatch[] {
  const unwrapped = unwrapLines(located.text);
  const found = TEXT_RULES.filter((rule) => rule.surfaces.includes(surface)).flatMap((rule) => {
    const asWritten = applyRule(rule, located);
    return asWritten.length > 0 ? asWritten : applyRule(rule, { ...located, text: unwrapped });
  });
  if (depth >= NESTING_MAX) return found;
  const { decoded, beyond } = decodeParts(located);
  const inner = decoded.text === "" ? [] : ruleMatches(decoded, surface, depth + 1);
  return [...found, ...inner, ...beyond];
}

/** Ends a line that the next one goes on with: that is no empty one, and no list item, heading, table row, quote or fence. */
const SOFT_LINE_END = /(?<![\r\n])\r?\n(?![\r\n]|[ \t]*(?:[-*+•][ \t]|\d+[.)][ \t]|#|\||>|```))/g;

/** A model reads on where a line ends, and so do the rules, but not where a block does. As long as the text was. */
function unwrapLines(text: string): string {
  return text.replaceAll(SOFT_LINE_END, (end) => " ".repeat(end.length));
}

function applyRule(rule: TextRule, { text, lineAt }: Located): TextMatch[] {
  if (rule.requires?.test(text) === false) return [];
  const matches: TextMatch[] = [];
  for (const match of text.matchAll(rule.pattern)) {
    const { id: ruleId, title, weight } = rule;
    matches.push({ ruleId, title, weight, line: lineAt(match.index), excerpt: toExcerpt(match[0]) });
    if (matches.length >= MATCHES_PER_RULE) break;
  }
  return matches;
}

const ENCODED = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{24,}={0,2}|(?<![01])(?:[01]{8}\s?){8,512}/g;

/** Everything that is encoded in a text as one text, so that many parts cost what one costs; `beyond` where that is too much. */
function decodeParts({ text, lineAt }: Located): { readonly decoded: Located; readonly beyond: readonly TextMatch[] } {
  const parts: string[] = [];
  const starts: { readonly at: number; readonly index: number }[] = [];
  let length = 0;
  for (const { 0: encoded, index } of text.matchAll(ENCODED)) {
    const part = decode(encoded);
    if (part === "") continue;
    starts.push({ at: length, index });
    parts.push(part);
    length += part.length + BETWEEN_PARTS.length;
    if (length > DECODED_BYTES_MAX) break;
  }
  const outerIndex = (at: number): number => starts.findLast((start) => start.at <= at)?.index ?? 0;
  const decoded = { text: parts.join(BETWEEN_PARTS), lineAt: (at: number) => lineAt(outerIndex(at)) };
  return { decoded, beyond: length > DECODED_BYTES_MAX ? [toBeyond(decoded.lineAt(length))] : [] };
}

const BETWEEN_PARTS = "\n\n";

function toBeyond(line: number): TextMatch {
  const title = "holds more encoded content than is decoded";
  return { ruleId: "text.encoded-beyond-budget", title, weight: SUSPICION_THRESHOLD, line, excerpt: "encoded content" };
}

/** A whole number of Base64 and of hex groups: what decodes to text in one is read, whatever the others hold. */
const CHUNK_CHARACTERS = 4096;

/** Only what decodes to text: most long runs of letters are names and digests. */
const DECODED_CHARACTERS_MIN = 12;

function decode(encoded: string): string {
  const text = /^[01\s]+$/.test(encoded) ? decodeBinary(encoded) : decodeChunks(encoded);
  return text.trim().length < DECODED_CHARACTERS_MIN ? "" : text;
}

function decodeBinary(encoded: string): string {
  const octets = encoded.match(/[01]{8}/g) ?? [];
  return printable(Buffer.from(octets.map((octet) => Number.parseInt(octet, 2)))) ?? "";
}

function decodeChunks(encoded: string): string {
  const encoding = encoded.length % 2 === 0 && /^[0-9a-f]+$/i.test(encoded) ? "hex" : "base64";
  let text = "";
  for (let from = 0; from < encoded.length && text.length <= DECODED_BYTES_MAX; from += CHUNK_CHARACTERS)
    text += printable(Buffer.from(encoded.slice(from, from + CHUNK_CHARACTERS), encoding)) ?? "\n\n";
  return text;
}

function printable(bytes: Buffer): string | undefined {
  const text = bytes.toString("latin1");
  return /^[\t\n\r\x20-\x7e]*$/.test(text) ? text : undefined;
}

function toExcerpt(text: string): string {
  const clean = maskText(text).replaceAll(/[^\x20-\x7e\u00a1-\u024f\u0400-\u04ff\u3040-\u9fff]+/g, " ");
  return clean.length > 160 ? `${clean.slice(0, 157)}...` : clean;
}
