import { AppError } from "../lib/errors.ts";

/** The JSON forms of policies and arguments arrive as `unknown`; these read them without trusting their shape. */
export type JsonObject = Readonly<Record<string, unknown>>;

export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function toObject(value: unknown): JsonObject {
  return isJsonObject(value) ? value : refuse("expected an object");
}

export function toArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : refuse("expected an array");
}

export function toText(value: unknown): string {
  return typeof value === "string" ? value : refuse("expected text");
}

/** The only member of an expression node: its operator and operands. */
export function toOperation(node: unknown): readonly [string, unknown] {
  const [entry, ...rest] = Object.entries(toObject(node));
  return entry !== undefined && rest.length === 0 ? entry : refuse("expected one operator per expression");
}

/** Throws `invalid_input`: the policy asks for something that the evaluator cannot decide. */
export function refuse(reason: string): never {
  throw new AppError("invalid_input", `the policy cannot be compiled: ${reason}`, { details: { field: "cedar" } });
}
