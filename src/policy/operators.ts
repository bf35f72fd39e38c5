import { failure, isFailure, isUnknown, type Result, typeName, type Unknown, valuesEqual } from "./value.ts";

const TRUE = 1;
const FALSE = 2;
const ERROR = 4;

/** What depends on arguments or time: any result is possible. */
export const UNKNOWN: Unknown = { kind: "unknown", outcomes: TRUE | FALSE | ERROR };

const UNKNOWN_BY_OUTCOMES: readonly Unknown[] = Array.from({ length: 8 }, (_, outcomes) => ({
  kind: "unknown",
  outcomes,
}));
const SURE_FAILURE = failure("the expression fails for every argument");

/** The results that a condition may have: bits 1 true, 2 false, 4 error. Anything but a boolean is an error. */
export function outcomesOf(result: Result): number {
  if (typeof result === "boolean") return result ? TRUE : FALSE;
  return isUnknown(result) ? result.outcomes : ERROR;
}

export function mayBeTrue(result: Result): boolean {
  return (outcomesOf(result) & TRUE) !== 0;
}

export function mayBeFalse(result: Result): boolean {
  return (outcomesOf(result) & FALSE) !== 0;
}

export function isSureError(result: Result): boolean {
  return outcomesOf(result) === ERROR;
}

/** The result of an operator whose fast path did not fit: an operand failed, is unknown, or has the wrong type. */
export function misfit(wanted: string, left: Result, right?: Result): Result {
  if (isFailure(left)) return left;
  if (right !== undefined && isFailure(right)) return right;
  if (isUnknown(left) || (right !== undefined && isUnknown(right))) return UNKNOWN;
  const found = right === undefined ? typeName(left) : `${typeName(left)} and ${typeName(right)}`;
  return failure(`type error: expected ${wanted}, got ${found}`);
}

/** A boolean as it is; a failure or unknown as it is; anything else is a type error. */
export function toBoolean(result: Result): Result {
  return typeof result === "boolean" ? result : misfit("boolean", result);
}

export function equal(left: Result, right: Result): Result {
  if (typeof left !== "object" && typeof right !== "object") return left === right;
  if (isFailure(left)) return left;
  if (isFailure(right)) return right;
  if (isUnknown(left) || isUnknown(right)) return UNKNOWN;
  return valuesEqual(left, right);
}

export function not(result: Result): Result {
  if (typeof result === "boolean") return !result;
  if (!isUnknown(result)) return misfit("boolean", result);
  const swapped = (result.outcomes & ERROR) | (mayBeTrue(result) ? FALSE : 0) | (mayBeFalse(result) ? TRUE : 0);
  return resultOf(swapped);
}

/** `left && right` where `left` is neither true nor false; `right` is asked only if it matters. */
export function andUnsure(left: Result, right: () => Result): Result {
  if (!isUnknown(left)) return misfit("boolean", left);
  const kept = left.outcomes & (FALSE | ERROR);
  return resultOf(mayBeTrue(left) ? kept | outcomesOf(right()) : kept);
}

/** `left || right` where `left` is neither true nor false; `right` is asked only if it matters. */
export function orUnsure(left: Result, right: () => Result): Result {
  if (!isUnknown(left)) return misfit("boolean", left);
  const kept = left.outcomes & (TRUE | ERROR);
  return resultOf(mayBeFalse(left) ? kept | outcomesOf(right()) : kept);
}

/** `if … then … else …` where the condition is neither true nor false. */
export function chooseUnsure(condition: Result, branches: () => readonly [Result, Result]): Result {
  if (!isUnknown(condition)) return misfit("boolean", condition);
  const possible = branches();
  if (!possible.every(isBooleanLike)) return UNKNOWN;
  const [whenTrue, whenFalse] = possible.map(outcomesOf);
  const fromTrue = mayBeTrue(condition) ? (whenTrue ?? 0) : 0;
  const fromFalse = mayBeFalse(condition) ? (whenFalse ?? 0) : 0;
  return resultOf((condition.outcomes & ERROR) | fromTrue | fromFalse);
}

function isBooleanLike(result: Result): boolean {
  return typeof result === "boolean" || isFailure(result) || isUnknown(result);
}

function resultOf(outcomes: number): Result {
  if (outcomes === TRUE) return true;
  if (outcomes === FALSE) return false;
  return outcomes === ERROR ? SURE_FAILURE : (UNKNOWN_BY_OUTCOMES[outcomes] ?? UNKNOWN);
}
