import type { PolicyCondition } from "./rule.ts";

/** The first field whose conditions can never hold together; `undefined` if none is found. Finds the plain cases only. */
export function findContradiction(conditions: readonly PolicyCondition[]): string | undefined {
  const byField = Map.groupBy(conditions, ({ field }) => field);
  for (const [field, tests] of byField) {
    if (isAbsentAndTested(tests) || hasNoValueLeft(tests) || hasEmptyRange(tests)) return field;
  }
  return undefined;
}

function isAbsentAndTested(tests: readonly PolicyCondition[]): boolean {
  const mustBeAbsent = tests.some(({ operator, value }) => operator === "exists" && value === false);
  return mustBeAbsent && tests.some(({ operator, value }) => operator !== "exists" || value !== false);
}

/** The values that `eq` and `in` leave, without those that `neq` and `not_in` take. */
function hasNoValueLeft(tests: readonly PolicyCondition[]): boolean {
  const choices = tests.filter(({ operator }) => operator === "eq" || operator === "in").map(valuesOf);
  const [first, ...rest] = choices;
  if (first === undefined) return false;
  const taken = tests.filter(({ operator }) => operator === "neq" || operator === "not_in").flatMap(valuesOf);
  const left = first.filter((value) => rest.every((choice) => choice.includes(value)) && !taken.includes(value));
  return left.every((value) => !isInRange(value, tests));
}

function hasEmptyRange(tests: readonly PolicyCondition[]): boolean {
  const lower = tests.filter(({ operator }) => operator === "gt" || operator === "gte");
  const upper = tests.filter(({ operator }) => operator === "lt" || operator === "lte");
  return lower.some((from) => upper.some((to) => !isOpen(from, to)));
}

function isOpen(from: PolicyCondition, to: PolicyCondition): boolean {
  const order = compare(from.value, to.value);
  if (order === undefined || order < 0) return true;
  return order === 0 && from.operator === "gte" && to.operator === "lte";
}

function isInRange(value: unknown, tests: readonly PolicyCondition[]): boolean {
  return tests.every(({ operator, value: bound }) => {
    const order = compare(value, bound);
    const isAllowed = ALLOWED_ORDERS[operator];
    return order === undefined || isAllowed === undefined || isAllowed(order);
  });
}

const ALLOWED_ORDERS: Readonly<Record<string, (order: number) => boolean>> = {
  gt: (order) => order > 0,
  gte: (order) => order >= 0,
  lt: (order) => order < 0,
  lte: (order) => order <= 0,
};

/** Numbers, and times written `HH:MM`, which sort as text. */
function compare(left: unknown, right: unknown): number | undefined {
  if (typeof left === "number" && typeof right === "number") return left - right;
  if (typeof left !== "string" || typeof right !== "string") return undefined;
  if (left === right) return 0;
  return left < right ? -1 : 1;
}

function valuesOf({ value }: PolicyCondition): readonly unknown[] {
  return Array.isArray(value) ? value : [value];
}
