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
const DECODED_BYTES_MAX = 64 * 1024;
const NESTING_MAX = 2;

/**
 * Judges a text that a model will read: hidden characters, deterministic rules, and the same rules on what is encoded inside
 * (Base64, hex, binary digits; two levels). Reads the whole text, never only its head, in linear time.
 */
export function analyzeText(text: string, surface: TextSurface): TextAnalysis {
  const matches = [...hiddenMatches(text), ...ruleMatches(toVisibleText(text), surface, 0)];
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

function ruleMatches(text: string, surface: TextSurface, depth: number): TextMatch[] {
  const found = TEXT_RULES.filter((rule) => rule.surfaces.includes(surface)).flatMap((rule) => applyRule(rule, text));
  if (depth >= NESTING_MAX) return found;
  const inner = decodedParts(text).flatMap(({ decoded, index }) =>
    ruleMatches(toVisibleText(decoded), surface, depth + 1).map((match) => ({ ...match, line: lineOf(text, index) })),
  );
  return [...found, ...inner];
}

function applyRule(rule: TextRule, text: string): TextMatch[] {
  if (rule.requires?.test(text) === false) return [];
  const matches: TextMatch[] = [];
  for (const match of text.matchAll(rule.pattern)) {
    const { id: ruleId, title, weight } = rule;
    matches.push({ ruleId, title, weight, line: lineOf(text, match.index), excerpt: toExcerpt(match[0]) });
    if (matches.length >= MATCHES_PER_RULE) break;
  }
  return matches;
}

const ENCODED = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{24,4096}={0,2}|(?<![01])(?:[01]{8}\s?){8,512}/g;

function decodedParts(text: string): { decoded: string; index: number }[] {
  const parts: { decoded: string; index: number }[] = [];
  let bytes = 0;
  for (const match of text.matchAll(ENCODED)) {
    const decoded = decode(match[0]);
    if (decoded === undefined) continue;
    parts.push({ decoded, index: match.index });
    bytes += decoded.length;
    if (bytes > DECODED_BYTES_MAX) break;
  }
  return parts;
}

function decode(encoded: string): string | undefined {
  if (/^[01\s]+$/.test(encoded)) {
    const octets = encoded.match(/[01]{8}/g) ?? [];
    return printable(Buffer.from(octets.map((octet) => Number.parseInt(octet, 2))));
  }
  const isHex = /^[0-9a-f]+$/i.test(encoded) && encoded.length % 2 === 0;
  return printable(Buffer.from(encoded, isHex ? "hex" : "base64"));
}

/** Only what decodes to text: most long runs of letters are names and digests. */
function printable(bytes: Buffer): string | undefined {
  const text = bytes.toString("latin1");
  return /^[\t\n\r\x20-\x7e]{12,}$/.test(text) ? text : undefined;
}

function toExcerpt(text: string): string {
  const clean = maskText(text).replaceAll(/[^\x20-\x7e\u00a1-\u024f\u0400-\u04ff\u3040-\u9fff]+/g, " ");
  return clean.length > 160 ? `${clean.slice(0, 157)}...` : clean;
}
