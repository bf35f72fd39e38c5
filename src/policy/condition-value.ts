import { AppError } from "../lib/errors.ts";
import { argumentIs, entity, quote } from "./cedar-text.ts";
import type { ConditionField } from "./condition-field.ts";
import { parseDecimal } from "./extensions.ts";
import { parseIpRange } from "./ip-range.ts";
import { isFailure } from "./value.ts";

const WEEKDAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"] as const;
const TIME = /^([01]\d|2[0-3]):([0-5]\d)$/;
/** The widest decimal that Cedar holds; no number in a double lies between it and the next integer. */
const DECIMAL_MAX = 922_337_203_685_477;

/** The value of a condition as a Cedar literal of the field's type. */
export function literalOf(field: ConditionField, value: unknown): string {
  if (field.kind === "time") return timeLiteral(field, value);
  if (field.kind === "ip") return cidrLiteral(field, value);
  if (field.kind === "weekday") return quote(toWeekday(field, value));
  if (typeof value === "string") return quote(value);
  if (field.kind === "text") return refuse(field, "takes text");
  if (typeof value === "boolean") return String(value);
  if (typeof value === "number") return numberLiteral(field, value);
  return value === null ? entity("Null", "null") : refuse(field, "takes text, a number, true, false or null");
}

/** `HH:MM` as minutes since midnight. */
export function timeLiteral(field: ConditionField, value: unknown): string {
  const match = typeof value === "string" ? TIME.exec(value) : null;
  if (match === null) return refuse(field, "takes a time as `HH:MM`, for example `18:30`");
  return String(Number(match[1]) * 60 + Number(match[2]));
}

export function cidrLiteral(field: ConditionField, value: unknown): string {
  if (typeof value === "string" && !isFailure(parseIpRange(value))) return `ip(${quote(value)})`;
  return refuse(field, "takes an address or a range, for example `10.0.0.0/8`");
}

/**
 * An order against an argument that may be a Long or a decimal. Cedar has no test of a value's type, so `context.kinds`
 * says which it is; any other type fails in the Long branch.
 */
export function numberTest(field: ConditionField, operator: ">" | ">=" | "<" | "<=", bound: number): string {
  numberLiteral(field, bound);
  const isDecimal = argumentIs("decimal", field.path);
  const onDecimal = `${field.reference}.${DECIMAL_METHODS[operator]}(decimal(${quote(decimalText(bound))}))`;
  return `(if ${isDecimal} then ${onDecimal} else ${longTest(field.reference, operator, bound)})`;
}

const DECIMAL_METHODS = {
  ">": "greaterThan",
  ">=": "greaterThanOrEqual",
  "<": "lessThan",
  "<=": "lessThanOrEqual",
} as const;

function longTest(reference: string, operator: ">" | ">=" | "<" | "<=", bound: number): string {
  if (Number.isInteger(bound)) return `${reference} ${operator} ${bound}`;
  // Between two integers, `>=` and `>` mean the same, and so do `<` and `<=`.
  return `${reference} ${operator.startsWith(">") ? ">" : "<="} ${Math.floor(bound)}`;
}

function decimalText(bound: number): string {
  if (Math.abs(bound) > DECIMAL_MAX) return bound > 0 ? "922337203685477.5807" : "-922337203685477.5808";
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}

function numberLiteral(field: ConditionField, value: number): string {
  if (Number.isSafeInteger(value)) return String(value);
  if (!isFailure(parseDecimal(String(value)))) return `decimal(${quote(String(value))})`;
  return refuse(field, `\`${value}\` is neither an exact integer nor a decimal of at most four places`);
}

function toWeekday(field: ConditionField, value: unknown): string {
  const text = typeof value === "string" ? value.toLowerCase() : "";
  const day = WEEKDAYS.find((name) => name === text || name.slice(0, 3) === text);
  return day ?? refuse(field, `takes a day: ${WEEKDAYS.join(", ")}`);
}

function refuse(field: ConditionField, problem: string): never {
  throw new AppError("invalid_input", `condition on \`${field.name}\` ${problem}`, {
    details: { field: "conditions", condition: field.name },
  });
}
