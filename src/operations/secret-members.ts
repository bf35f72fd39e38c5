import type { Answer } from "./define-operation.ts";

/** The answer as it may be kept or shown again: without its secret members, and saying so. */
export function withoutSecrets(answer: Answer, secrets: readonly string[]): Answer {
  if (!secrets.some((name) => name in answer.output)) return answer;
  const shown = Object.entries(answer.output).filter(([name]) => !secrets.includes(name));
  return { ...answer, output: { ...Object.fromEntries(shown), secretOmitted: true } };
}
