import { analyzeText } from "../../guard/analyze-text.ts";
import { findSecretSpans, isPlaceholder } from "../../guard/find-secrets.ts";
import { type Evidence, type Severity, toExcerpt } from "./evidence.ts";

/** At this score several strong rules agree. */
const CRITICAL_SCORE = 0.85;
const SECRETS_PER_FILE_MAX = 20;

/** The rules that skills share with everything else that a model reads: secrets, hidden characters, instructions that take over. */
export function scanText(text: string, path: string): readonly Evidence[] {
  return [...findInstructions(text, path), ...findKeys(text, path)];
}

function findInstructions(text: string, path: string): Evidence[] {
  const { matches, isSuspicious, score } = analyzeText(text, "skill");
  // A single weak match is worth a look, not a refusal: the shared threshold decides.
  const suspicious: Severity = score >= CRITICAL_SCORE ? "critical" : "high";
  const severity: Severity = isSuspicious ? suspicious : "low";
  return matches.map(({ ruleId, line, excerpt }) => ({ rule: ruleId, severity, path, line, excerpt }));
}

/** Says where a secret stands and of which kind it is, never what it is. */
function findKeys(text: string, path: string): Evidence[] {
  return findSecretSpans(text)
    .filter(({ start, end }) => !isPlaceholder(text.slice(start, end)))
    .slice(0, SECRETS_PER_FILE_MAX)
    .map(({ type, start }) => ({
      rule: `secret.${type}`,
      severity: "high",
      path,
      line: text.slice(0, start).split("\n").length,
      excerpt: toExcerpt(`a secret of type ${type}`),
    }));
}
