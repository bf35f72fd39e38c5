import { Ajv, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { createLruCache } from "../../lib/lru-cache.ts";
import { SCHEMA_BYTES_MAX, SCHEMA_DEPTH_MAX, SCHEMA_OBJECTS_MAX } from "./limits.ts";

/** What is wrong with a value: where (JSON Pointer) and what. */
export interface SchemaProblem {
  readonly path: string;
  readonly problem: string;
}

/** Compiled validators kept per worker. 128 schemas are 64 skills in use at a time. */
const VALIDATORS_MAX = 128;
const validators = createLruCache<ValidateFunction>(VALIDATORS_MAX);

/** The schema itself cannot be used; the message says why. */
export class SchemaError extends Error {}

/**
 * Tests a value against a JSON Schema given as text; undefined means that it fits. Throws `SchemaError` for a schema that
 * does not compile. A pattern can take exponential time: call it only where the caller can be stopped (the worker).
 */
export function checkSchema(schemaJson: string, value: unknown): SchemaProblem | undefined {
  const validate = validators.get(schemaJson) ?? compile(schemaJson);
  if (validate(value)) return undefined;
  const [error] = validate.errors ?? [];
  return { path: error?.instancePath || "/", problem: error?.message ?? "does not fit the schema" };
}

/**
 * Throws `SchemaError` for a schema that no value could be tested against. Tests no value and compiles what is bounded, so it is
 * safe anywhere; the second time is free.
 */
export function checkSchemaItself(schemaJson: string): void {
  if (validators.get(schemaJson) === undefined) compile(schemaJson);
}

function compile(schemaJson: string): ValidateFunction {
  if (Buffer.byteLength(schemaJson) > SCHEMA_BYTES_MAX) {
    throw new SchemaError(`it is longer than ${SCHEMA_BYTES_MAX} bytes`);
  }
  const validate = compileBounded(schemaJson);
  validators.set(schemaJson, validate);
  return validate;
}

function compileBounded(schemaJson: string): ValidateFunction {
  // JSON Schema leaves unknown keywords and formats to the reader; `$data` and remote references stay off.
  // Inlined, a reference would be its target once more at each use, and targets that refer on would multiply without end.
  const options = {
    strict: false,
    logger: false,
    validateFormats: false,
    allErrors: false,
    inlineRefs: false,
  } as const;
  try {
    const schema: unknown = JSON.parse(schemaJson);
    if (typeof schema !== "object" || schema === null || Array.isArray(schema)) {
      throw new SchemaError("it is not an object");
    }
    checkSize(schema);
    if ("$async" in schema) throw new SchemaError("`$async` is not JSON Schema");
    // MCP's default dialect is 2020-12; draft-07 is what many generators still write.
    const isDraft7 = schemaJson.includes('"http://json-schema.org/draft-07/schema');
    return isDraft7 ? new Ajv(options).compile(schema) : new Ajv2020(options).compile(schema);
  } catch (error) {
    if (error instanceof SchemaError) throw error;
    throw new SchemaError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Walks with an explicit stack: the schema's depth is its author's choice, our call stack is not. */
function checkSize(schema: object): void {
  const stack: { readonly value: object; readonly depth: number }[] = [{ value: schema, depth: 1 }];
  let objects = 0;
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    objects += 1;
    if (objects > SCHEMA_OBJECTS_MAX)
      throw new SchemaError(`it holds more than ${SCHEMA_OBJECTS_MAX} objects and lists`);
    if (next.depth > SCHEMA_DEPTH_MAX) throw new SchemaError(`it is nested more than ${SCHEMA_DEPTH_MAX} levels deep`);
    const members: unknown[] = Object.values(next.value);
    for (const value of members)
      if (typeof value === "object" && value !== null) stack.push({ value, depth: next.depth + 1 });
  }
}
