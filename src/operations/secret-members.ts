import type { Answer } from "./define-operation.ts";

type Members = Readonly<Record<string, unknown>>;

/** The answer as it may be kept or shown again: without its secret members (`key`, `connection.config`), and saying so. */
export function withoutSecrets(answer: Answer, secrets: readonly string[]): Answer {
  const output = secrets.reduce((shown, path) => without(shown, path.split(".")), answer.output);
  if (output === answer.output) return answer;
  const summary = `${answer.summary} The secret itself is left out of this answer.`;
  return { summary, output: { ...output, secretOmitted: true } };
}

/** Which of the secret members an answer holds. */
export function secretsIn(output: Members, secrets: readonly string[]): readonly string[] {
  return secrets.filter((path) => without(output, path.split(".")) !== output);
}

/** The very same members where there is nothing at the path. */
function without(members: Members, [name = "", ...inner]: readonly string[]): Members {
  const member = members[name];
  if (member === undefined) return members;
  const { [name]: _, ...rest } = members;
  if (inner.length === 0) return rest;
  if (!isMembers(member)) return members;
  const left = without(member, inner);
  return left === member ? members : { ...members, [name]: left };
}

function isMembers(value: unknown): value is Members {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
