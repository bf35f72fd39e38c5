import type { DetailedError, PolicyJson } from "@cedar-policy/cedar-wasm/nodejs";
import { AppError } from "../lib/errors.ts";
import { withCedar } from "./cedar-library.ts";
import { compilePolicy } from "./compiled-policy.ts";
import { refuse } from "./json-tree.ts";
import type { PolicyEffect } from "./policy-terms.ts";
import type { PolicyRule } from "./rule.ts";
import { ruleToCedar } from "./rule-to-cedar.ts";
import { locate, locateName, type Place } from "./text-place.ts";
import { validatePolicy } from "./validate-policy.ts";

export const CEDAR_BYTES_MAX = 64 * 1024;

export interface ParsedPolicy {
  readonly effect: PolicyEffect;
  /** The text, formatted. */
  readonly cedar: string;
  /** Cedar's JSON form: what is stored beside the text, so that a start needs no Cedar library. */
  readonly ast: PolicyJson;
  /** What the validator finds odd but not wrong, for example a rule that no request can match. */
  readonly warnings: readonly string[];
}

/** Reads a structured rule. Throws `invalid_input` as `ruleToCedar` and `parsePolicy` do. */
export function parseRule(rule: PolicyRule): ParsedPolicy {
  return parsePolicy(ruleToCedar(rule));
}

/**
 * Reads one Cedar policy and checks it against the schema and the evaluator. Throws `invalid_input` whose
 * `details.errors` hold line, column, message and what was expected; `payload_too_large` above 64 kB.
 */
export function parsePolicy(text: string): ParsedPolicy {
  requireCedarSize(text);
  const answer = withCedar((cedar) => cedar.policyToJson(text));
  if (answer.type === "failure") throw toAppError(answer.errors, text);
  const { json: ast } = answer;
  const effect = effectOf(ast);
  compilePolicy({ id: "", name: "", mode: "enforce", effect, ast });
  const { errors, warnings } = validatePolicy(text, ast);
  if (errors.length > 0) throw toAppError(errors, text);
  return { effect, cedar: formatPolicy(text), ast, warnings: warnings.map(({ message }) => withoutPolicyId(message)) };
}

/** Throws `payload_too_large` for a text above 64 kB. */
export function requireCedarSize(text: string): void {
  if (Buffer.byteLength(text) > CEDAR_BYTES_MAX) {
    throw new AppError("payload_too_large", `a policy has at most ${CEDAR_BYTES_MAX} bytes; use groups, or split it`, {
      details: { field: "cedar", bytesMax: CEDAR_BYTES_MAX },
    });
  }
}

/** The text in Cedar's usual layout; as it was where the formatter cannot handle it. */
function formatPolicy(text: string): string {
  try {
    const answer = withCedar((cedar) => cedar.formatPolicies({ policyText: text, lineWidth: 100, indentWidth: 2 }));
    return answer.type === "success" ? answer.formatted_policy : text;
  } catch (error) {
    // Very wide policies exhaust the formatter, and only the formatter: the policy itself is fine.
    if (error instanceof AppError) return text;
    throw error;
  }
}

function effectOf({ effect, annotations = {} }: PolicyJson): PolicyEffect {
  const annotation = annotations["effect"];
  if (annotation === undefined) return effect === "permit" ? "allow" : "deny";
  if (annotation === "require_approval" && effect === "forbid") return "require_approval";
  return refuse('the only `@effect` is `@effect("require_approval")`, and it stands on a `forbid`');
}

interface CedarProblem extends Place {
  readonly message: string;
  readonly expected?: string | undefined;
}

function toAppError(errors: readonly DetailedError[], text: string): AppError {
  const problems = errors.map((error) => toProblem(error, text));
  const [first] = problems;
  const where = first === undefined ? "" : ` line ${first.line}, column ${first.column}: ${first.message}`;
  const hint = first?.expected === undefined ? "" : `; ${first.expected}`;
  return new AppError("invalid_input", `\`cedar\`${where}${hint}`, { details: { field: "cedar", errors: problems } });
}

function toProblem(error: DetailedError, text: string): CedarProblem {
  const message = withoutPolicyId(error.message);
  const [location] = error.sourceLocations ?? [];
  const place = location === undefined ? locateName(text, message) : locate(text, location.start);
  const expected = location?.label ?? error.help ?? undefined;
  return { ...place, message, expected };
}

function withoutPolicyId(message: string): string {
  return message.replace(/^for policy `[^`]*`, /, "").replace(/^failed to parse policy from string: /, "");
}
