import { toEntityUid } from "./compile-value.ts";
import { isJsonObject, toArray, toObject, toOperation } from "./json-tree.ts";

/**
 * The entities that a policy's principal and resource must be, or be below, for it to matter; `undefined` means any.
 * A policy that is not looked up under one of its keys can neither match nor fail.
 */
export interface ScopeKeys {
  readonly principal: readonly string[] | undefined;
  readonly resource: readonly string[] | undefined;
}

/** Finds the keys in the conjuncts of a policy, in the order of evaluation. */
export function scopeKeysOf(tests: readonly unknown[]): ScopeKeys {
  const certain: unknown[] = [];
  for (const test of tests) {
    certain.push(test);
    // What stands after a test that may fail cannot excuse a policy: its error would be lost.
    if (!isInfallible(test)) break;
  }
  return { principal: firstKeys(certain, "principal"), resource: firstKeys(certain, "resource") };
}

function firstKeys(tests: readonly unknown[], variable: string): readonly string[] | undefined {
  for (const test of tests) {
    const keys = keysOf(test, variable);
    if (keys !== undefined) return keys;
  }
  return undefined;
}

/** The keys without which this test is false; `undefined` if there are none, or if the test may fail before they count. */
function keysOf(test: unknown, variable: string): readonly string[] | undefined {
  const [operator, operands] = toOperation(test);
  const { left, right, in: inside } = isJsonObject(operands) ? operands : {};
  if (operator === "&&") return keysOf(left, variable) ?? (isInfallible(left) ? keysOf(right, variable) : undefined);
  if (operator === "||") return union(keysOf(left, variable), keysOf(right, variable));
  if (!isVariable(left, variable)) return undefined;
  if (operator === "in" || operator === "==") return literalKeys(right);
  return operator === "is" ? literalKeys(inside) : undefined;
}

function union(
  left: readonly string[] | undefined,
  right: readonly string[] | undefined,
): readonly string[] | undefined {
  return left === undefined || right === undefined ? undefined : [...new Set([...left, ...right])];
}

function isVariable(node: unknown, name: string): boolean {
  return isJsonObject(node) && node["Var"] === name;
}

/** Tests of the request's entities against literals: they are true or false, never an error. */
function isInfallible(test: unknown): boolean {
  const [operator, operands] = toOperation(test);
  if (operator === "Value") return typeof operands === "boolean";
  const { left, right, arg, in: inside } = isJsonObject(operands) ? operands : {};
  if (operator === "&&" || operator === "||") return isInfallible(left) && isInfallible(right);
  if (operator === "!") return isInfallible(arg);
  if (!["principal", "resource", "action"].some((name) => isVariable(left, name))) return false;
  if (operator === "is") return inside === undefined || literalKeys(inside) !== undefined;
  return (operator === "in" || operator === "==") && literalKeys(right) !== undefined;
}

function literalKeys(node: unknown): readonly string[] | undefined {
  if (!isJsonObject(node)) return undefined;
  if (isEntityLiteral(node)) return [toEntityUid(node["Value"]).key];
  if (node["Set"] === undefined) return undefined;
  const elements = toArray(node["Set"]);
  if (!elements.every(isEntityLiteral)) return undefined;
  return elements.map((element) => toEntityUid(toObject(element)["Value"]).key);
}

function isEntityLiteral(node: unknown): boolean {
  return isJsonObject(node) && isJsonObject(node["Value"]) && node["Value"]["__entity"] !== undefined;
}
