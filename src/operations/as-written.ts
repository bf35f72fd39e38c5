import { z } from "zod";
import { escapeHidden } from "../lib/escape-hidden.ts";

const AS_WRITTEN = new WeakSet<z.core.$ZodType>();

/**
 * Marks a member of an output that a member of the organization wrote, or will paste somewhere: code, instructions, a configuration.
 * It comes out of every face as it went in, so that who reads it, edits it and sends it back changes nothing else. MUST be the
 * last but `optional` and `nullable` (a description makes another schema), and MUST NOT mark what an upstream, a device or an
 * agent can choose.
 */
export function asWritten<T extends z.ZodType>(schema: T): T {
  AS_WRITTEN.add(schema);
  return schema;
}

/** An answer as a model may read it: all but what is as written is made visible and bounded, see `escapeHidden`. */
export function escapeForeign(value: unknown, schema: z.core.$ZodType | undefined): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable) return escapeForeign(value, schema.unwrap());
  if (schema !== undefined && AS_WRITTEN.has(schema)) return value;
  if (schema instanceof z.ZodArray && Array.isArray(value)) {
    return value.map((element) => escapeForeign(element, schema.element));
  }
  if (schema instanceof z.ZodObject && typeof value === "object" && value !== null) {
    const shape: z.core.$ZodShape = schema.shape;
    return Object.fromEntries(
      Object.entries(value).map(([name, member]) => [name, escapeForeign(member, shape[name])]),
    );
  }
  return escapeHidden(value);
}
