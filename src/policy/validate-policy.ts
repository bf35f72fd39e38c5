import type { DetailedError, PolicyJson, ValidationAnswer } from "@cedar-policy/cedar-wasm/nodejs";
import { withCedar } from "./cedar-library.ts";
import { CEDAR_SCHEMA } from "./schema.ts";
import { ARGUMENT_TEST, withoutArgumentTests } from "./untyped-arguments.ts";

export interface Validation {
  readonly errors: readonly DetailedError[];
  readonly warnings: readonly DetailedError[];
}

/** The published schema with the placeholder for tests on arguments. */
const VALIDATION_SCHEMA = CEDAR_SCHEMA.replace("args: Arguments,", `args: Arguments, ${ARGUMENT_TEST}: Bool,`);

/** Checks a policy against the schema in strict mode. Tests on arguments are not type-checked: arguments are open. */
export function validatePolicy(text: string, ast: PolicyJson): Validation {
  const conditions = ast.conditions.map(({ kind, body }) => ({ kind, body: withoutArgumentTests(body) }));
  const isRewritten = JSON.stringify(conditions) !== JSON.stringify(ast.conditions);
  // The text, where it can be checked as it is, because its errors then have places.
  const policy = isRewritten ? toPolicyJson({ ...ast, conditions }) : text;
  const answer = withCedar((cedar) =>
    cedar.validate({ schema: VALIDATION_SCHEMA, policies: { staticPolicies: { policy } } }),
  );
  return toValidation(answer);
}

function toValidation(answer: ValidationAnswer): Validation {
  if (answer.type === "failure") return { errors: answer.errors, warnings: answer.warnings };
  return {
    errors: distinct(answer.validationErrors.map(({ error }) => error)),
    warnings: distinct(answer.validationWarnings.map(({ error }) => error)),
  };
}

/** The validator repeats itself for every action. */
function distinct(errors: readonly DetailedError[]): DetailedError[] {
  return [...new Map(errors.map((error) => [error.message, error])).values()];
}

function toPolicyJson(value: unknown): PolicyJson {
  const parsed: PolicyJson = JSON.parse(JSON.stringify(value));
  return parsed;
}
