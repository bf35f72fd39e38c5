import { maskText } from "../../guard/mask-secrets.ts";

export type Severity = "critical" | "high" | "medium" | "low" | "info";

/** One thing a scan found, where, and an excerpt of at most 160 characters with invisible characters escaped. */
export interface Evidence {
  readonly rule: string;
  readonly severity: Severity;
  readonly path: string;
  /** Counts from 1; absent for a file as a whole. */
  readonly line?: number | undefined;
  readonly excerpt: string;
}

/** `none` when nothing was found; else the worst severity. */
export type SkillRisk = Severity | "none";

const EXCERPT_LENGTH = 160;
/** A secret is recognized by more than the part of it that is shown. */
const READ_LENGTH_MAX = 16 * 1024;

/** Only a risk of `high` or above can block a version. */
export function isBlockingRisk(risk: SkillRisk): boolean {
  return risk === "critical" || risk === "high";
}

/** Text of a scanned file as it may be shown: bounded, on one line, without secrets and characters that hide or reorder others. */
export function toExcerpt(text: string): string {
  const escaped = maskText(text.slice(0, READ_LENGTH_MAX))
    .trim()
    .slice(0, EXCERPT_LENGTH)
    .replaceAll(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}\u2028\u2029]/gu, (character) => {
      return `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;
    });
  return escaped.slice(0, EXCERPT_LENGTH);
}
