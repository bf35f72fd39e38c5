import { z } from "zod";

/** A column of JSON text whose content must fit `schema`. What does not is a damaged row and throws. */
export function jsonText<Schema extends z.ZodType>(schema: Schema) {
  return z
    .string()
    .transform((text): unknown => JSON.parse(text))
    .pipe(schema);
}

/** A truth value stored as 0 or 1. */
export const storedFlag = z.number().transform((value) => value !== 0);

export const storedNames = jsonText(z.array(z.string()));

export function toJsonOrNull(value: unknown): string | null {
  return value === null || value === undefined ? null : JSON.stringify(value);
}

export function toStoredFlag(value: boolean): number {
  return value ? 1 : 0;
}
