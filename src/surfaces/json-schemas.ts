import { z } from "zod";
import { ERROR_STATUS } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";

/** The members of JSON Schema (2020-12) that our own schemas use and the surfaces look at; others pass through. */
export interface JsonSchema {
  readonly type?: string | readonly string[] | undefined;
  readonly description?: string | undefined;
  readonly enum?: readonly unknown[] | undefined;
  readonly const?: unknown;
  readonly items?: JsonSchema | undefined;
  readonly anyOf?: readonly JsonSchema[] | undefined;
  readonly oneOf?: readonly JsonSchema[] | undefined;
  readonly properties?: Readonly<Record<string, JsonSchema>> | undefined;
  readonly required?: readonly string[] | undefined;
  readonly [keyword: string]: unknown;
}

/** An object schema with its members at hand. */
export interface ObjectSchema extends JsonSchema {
  readonly type: "object";
  readonly properties: Readonly<Record<string, JsonSchema>>;
  readonly required: readonly string[];
}

const JsonSchemaShape: z.ZodType<JsonSchema> = z.lazy(() =>
  z.looseObject({
    type: z.union([z.string(), z.array(z.string())]).optional(),
    description: z.string().optional(),
    enum: z.array(z.unknown()).optional(),
    // `items: false` closes a tuple; nothing to look at.
    items: z
      .preprocess((items) => (typeof items === "boolean" ? undefined : items), JsonSchemaShape.optional())
      .optional(),
    anyOf: z.array(JsonSchemaShape).optional(),
    oneOf: z.array(JsonSchemaShape).optional(),
    properties: z.record(z.string(), JsonSchemaShape).optional(),
    required: z.array(z.string()).optional(),
  }),
);

/** What a caller sends, the same on every face. */
export function inputSchema(operation: Operation): ObjectSchema {
  return toObjectSchema(z.toJSONSchema(operation.input, { io: "input", unrepresentable: "any" }));
}

/** What a successful call answers, the same on every face. */
export function outputSchema(operation: Operation): ObjectSchema {
  return toObjectSchema(z.toJSONSchema(operation.output, { io: "output", unrepresentable: "any" }));
}

/** A schema with one type. */
export interface PlainSchema {
  readonly type: string | undefined;
  readonly items?: JsonSchema | undefined;
  readonly const?: unknown;
}

/** The alternatives that a schema leaves, each with one type. */
export function alternatives(schema: JsonSchema): readonly PlainSchema[] {
  const options = schema.anyOf ?? schema.oneOf;
  if (options !== undefined) return options.flatMap(alternatives);
  const { type, items, const: only } = schema;
  const types = typeof type === "string" ? [type] : (type ?? [undefined]);
  return types.map((one) => ({ type: one, items, const: only }));
}

/** How an error reads inside a tool result. */
export const errorSchema = {
  type: "object",
  properties: {
    code: { type: "string", enum: Object.keys(ERROR_STATUS) },
    message: { type: "string", description: "What is wrong, where, and what to do" },
    details: { type: "object", description: "Facts about the error, such as the fields at fault" },
  },
  required: ["code", "message"],
} as const;

function toObjectSchema(schema: unknown): ObjectSchema {
  const { $schema: _, ...rest } = z.looseObject({}).parse(schema);
  const { properties = {}, required = [], ...others } = JsonSchemaShape.parse(rest);
  const described = Object.entries(properties).map(([name, property]) => [name, withDescription(property)]);
  return { ...others, type: "object", properties: Object.fromEntries(described), required };
}

/** A nullable field may carry its description on the alternative; readers look for it on the field. */
function withDescription(property: JsonSchema): JsonSchema {
  if (property.description !== undefined) return property;
  const description = (property.anyOf ?? property.oneOf)?.find(
    (option) => option.description !== undefined,
  )?.description;
  return description === undefined ? property : { ...property, description };
}
