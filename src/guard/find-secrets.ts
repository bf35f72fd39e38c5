import { createHmac } from "node:crypto";
import { selectPatterns } from "./candidate-patterns.ts";
import { KEY_PATTERNS, PLACE_PATTERNS, type SecretPattern } from "./secret-patterns.ts";

/** `://:x@`: no pattern matches less. */
export const MATCH_CHARACTERS_MIN = 6;

// At the same place the first wins, so what a key tells of itself comes before where it stands.
const patternsFor = selectPatterns([...KEY_PATTERNS, ...PLACE_PATTERNS]);

/** Where a secret stands in a text: `[start, end)` in UTF-16 units. */
export interface SecretSpan {
  readonly type: string;
  readonly start: number;
  readonly end: number;
}

/** What may leave a machine about a secret: its kind, its length, and a hash that only the organization's key can make. */
export interface SecretHint {
  readonly type: string;
  readonly length: number;
  readonly keyedHash: string;
}

/** All secrets in a text, in order and without overlap. Linear in the text. */
export function findSecretSpans(text: string): SecretSpan[] {
  if (text.length < MATCH_CHARACTERS_MIN) return [];
  const spans = pemSpans(text);
  for (const pattern of patternsFor(text)) spans.push(...spansOf(text, pattern));
  return spans.length === 0 ? spans : withoutOverlap(spans);
}

/**
 * The secrets that a person must act on: typed keys, private keys, passwords in URLs. Placeholders
 * (`${TOKEN}`, `<your-key>`, `xxxx`) are not secrets. The secret itself is never in the answer.
 */
export function findSecrets(text: string, hashKey: string): SecretHint[] {
  return findSecretSpans(text)
    .map((span) => ({ type: span.type, secret: text.slice(span.start, span.end) }))
    .filter(({ secret }) => !isPlaceholder(secret))
    .map(({ type, secret }) => toSecretHint(type, secret, hashKey));
}

export function toSecretHint(type: string, secret: string, hashKey: string): SecretHint {
  const keyedHash = createHmac("sha256", hashKey).update(secret).digest("hex").slice(0, 32);
  return { type, length: secret.length, keyedHash };
}

/** Words alone, the first of them telling: a key may begin with any letters, but holds more than words. */
const PLACEHOLDER_WORDS =
  /^(?:my|the|an?|insert|replace|change|enter|add|put|sample|dummy|fake|test|todo|none|null|undefined|true|false|redacted|x{3,})(?:[^A-Za-z0-9][A-Za-z]*)*$/i;
const FILLER = /^(?:\*{3,}|\.{3,}|\[masked)/i;
const REFERENCE =
  /^(?:\$\{|\$\(|\$[A-Za-z_]|%[A-Za-z_]+%|\{\{|<|@|env:|op:\/\/|keychain:|vault:|secretref|process\.env|os\.environ)/i;

/** Whether a value only stands for a secret: a variable, a reference to a vault, or words such as `your-api-key`. */
export function isPlaceholder(value: string): boolean {
  const text = value.trim();
  if (text === "" || REFERENCE.test(text) || FILLER.test(text) || PLACEHOLDER_WORDS.test(text)) return true;
  if (/(?:your|example|placeholder|here$|change.?me|xxxx|1234567890abcdef)/i.test(text)) return true;
  return new Set(text).size <= 3;
}

/** Shannon entropy in bits per character: random keys lie above 3.5, words and file names below. */
export function entropyBits(text: string): number {
  const counts = new Map<string, number>();
  for (const character of text) counts.set(character, (counts.get(character) ?? 0) + 1);
  const total = Math.max(1, text.length);
  return [...counts.values()].reduce((bits, count) => bits - (count / total) * Math.log2(count / total), 0);
}

function spansOf(text: string, { type, pattern, group }: SecretPattern): SecretSpan[] {
  // `matchAll` copies the pattern at each call; most texts hold no secret and stop here.
  if (text.search(pattern) < 0) return [];
  const spans: SecretSpan[] = [];
  for (const match of text.matchAll(pattern)) {
    const secret = group === undefined ? match[0] : (match[group] ?? "");
    const start = match.index + match[0].lastIndexOf(secret);
    spans.push({ type, start, end: start + secret.length });
  }
  return spans;
}

const PEM_BEGIN = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g;
const PEM_END = "-----END";

/** Found by hand: a lazy pattern up to the end line would rescan the text for each begin line that has none. */
function pemSpans(text: string): SecretSpan[] {
  if (!text.includes("-----BEGIN")) return [];
  const spans: SecretSpan[] = [];
  let covered = 0;
  for (const match of text.matchAll(PEM_BEGIN)) {
    if (match.index < covered) continue;
    const closing = text.indexOf(PEM_END, match.index + match[0].length);
    const lineEnd = closing < 0 ? -1 : text.indexOf("-----", closing + PEM_END.length);
    covered = lineEnd < 0 ? text.length : lineEnd + 5;
    spans.push({ type: "private-key", start: match.index, end: covered });
  }
  return spans;
}

function withoutOverlap(spans: readonly SecretSpan[]): SecretSpan[] {
  const kept: SecretSpan[] = [];
  // Sorting is stable, so at the same start the more telling type, listed first, wins.
  for (const span of spans.toSorted((left, right) => left.start - right.start)) {
    const last = kept.at(-1);
    if (last === undefined || span.start >= last.end) kept.push(span);
    else if (span.end > last.end) kept[kept.length - 1] = { ...last, end: span.end };
  }
  return kept;
}
