import { AppError } from "../lib/errors.ts";
import { all, any, argumentIs, globPattern, pattern } from "./cedar-text.ts";
import { type ConditionField, fieldExists, parseConditionField } from "./condition-field.ts";
import { cidrLiteral, literalOf, numberTest, timeLiteral } from "./condition-value.ts";
import type { ConditionOperator, PolicyCondition } from "./rule.ts";

/**
 * One condition as a Cedar expression: false where the field is missing, an evaluation error where its value is of the
 * wrong type. Throws `invalid_input` for a field, operator or value that does not fit.
 */
export function conditionToCedar(condition: PolicyCondition): string {
  const field = parseConditionField(condition.field);
  if (condition.operator === "exists") return existsTest(field, condition.value ?? true);
  const write = OPERATORS.get(condition.operator);
  if (write === undefined) return refuse(field, `operator \`${condition.operator}\` does not exist`);
  return all([...field.guards, write(field, condition.value)]);
}

type Writer = (field: ConditionField, value: unknown) => string;

const OPERATORS: ReadonlyMap<ConditionOperator, Writer> = new Map<ConditionOperator, Writer>([
  ["eq", (field, value) => `${field.reference} == ${literalOf(field, value)}`],
  ["neq", (field, value) => `${field.reference} != ${literalOf(field, value)}`],
  ["in", (field, value) => `${literalSet(field, value)}.contains(${field.reference})`],
  ["not_in", (field, value) => `!${literalSet(field, value)}.contains(${field.reference})`],
  ["gt", ordering(">")],
  ["gte", ordering(">=")],
  ["lt", ordering("<")],
  ["lte", ordering("<=")],
  ["contains", containsTest],
  ["starts_with", (field, value) => likeTest(field, pattern([textOf(field, value), ""]))],
  ["ends_with", (field, value) => likeTest(field, pattern(["", textOf(field, value)]))],
  ["like", (field, value) => likeTest(field, globPattern(textOf(field, value)))],
  ["in_cidr", inCidrTest],
]);

function existsTest(field: ConditionField, value: unknown): string {
  if (typeof value !== "boolean") return refuse(field, "`exists` takes `true` or `false`");
  return value ? fieldExists(field) : `!(${fieldExists(field)})`;
}

function literalSet(field: ConditionField, value: unknown): string {
  if (!Array.isArray(value) || value.length === 0) return refuse(field, "`in` and `not_in` take a list of values");
  return `[${value.map((item) => literalOf(field, item)).join(", ")}]`;
}

function ordering(operator: ">" | ">=" | "<" | "<="): Writer {
  return (field, value) => {
    if (field.kind === "time") return `${field.reference} ${operator} ${timeLiteral(field, value)}`;
    if (field.kind === "argument" && typeof value === "number") return numberTest(field, operator, value);
    return refuse(field, "an order needs a number for an argument, or `HH:MM` for `context.time`");
  };
}

function containsTest(field: ConditionField, value: unknown): string {
  if (field.kind !== "argument") return likeTest(field, pattern(["", textOf(field, value), ""]));
  const inArray = `${field.reference}.contains(${literalOf(field, value)})`;
  if (typeof value !== "string") return inArray;
  const isArray = argumentIs("array", field.path);
  return `(if ${isArray} then ${inArray} else ${likeTest(field, pattern(["", value, ""]))})`;
}

function likeTest(field: ConditionField, cedarPattern: string): string {
  if (field.kind !== "argument" && field.kind !== "text") {
    return refuse(field, "this field is no text; use `eq`, `in` or the operator made for it");
  }
  return `${field.reference} like ${cedarPattern}`;
}

function inCidrTest(field: ConditionField, value: unknown): string {
  if (field.kind !== "ip" && field.kind !== "argument") return refuse(field, "`in_cidr` tests an address");
  const ranges: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (ranges.length === 0) return refuse(field, "`in_cidr` takes one range or a list of them");
  const address = field.kind === "ip" ? field.reference : `ip(${field.reference})`;
  return any(ranges.map((range) => `${address}.isInRange(${cidrLiteral(field, range)})`));
}

function textOf(field: ConditionField, value: unknown): string {
  return typeof value === "string" ? value : refuse(field, "this operator takes text");
}

function refuse(field: ConditionField, problem: string): never {
  throw new AppError("invalid_input", `condition on \`${field.name}\`: ${problem}`, {
    details: { field: "conditions", condition: field.name },
  });
}
