import type { Code } from "./environment.ts";
import { EXTENSION_FUNCTIONS } from "./extensions.ts";
import { isJsonObject, refuse, toObject, toText } from "./json-tree.ts";
import { cedarRecord, cedarSet, entityUid, isFailure, isUnknown, type EntityUid, type Value } from "./value.ts";

/** A literal of Cedar's JSON form. */
export function compileValue(json: unknown): Code {
  const value = toValue(json);
  return () => value;
}

/** An entity reference, bare (`{type, id}`) or escaped (`{__entity: …}`). */
export function toEntityUid(json: unknown): EntityUid {
  const outer = toObject(json);
  const { type, id } = toObject(outer["__entity"] ?? outer);
  return entityUid(toText(type), toText(id));
}

/** Reads a value of Cedar's JSON form. Throws `invalid_input` for what Cedar has no value for. */
export function toValue(json: unknown): Value {
  if (typeof json === "string" || typeof json === "boolean") return json;
  if (typeof json === "number") return toLongLiteral(json);
  if (Array.isArray(json)) return cedarSet(json.map(toValue));
  if (!isJsonObject(json)) return refuse("a literal is of no Cedar type");
  if (json["__entity"] !== undefined) return toEntityUid(json);
  if (json["__extn"] !== undefined) return toExtensionValue(toObject(json["__extn"]));
  return cedarRecord(new Map(Object.entries(json).map(([name, member]) => [name, toValue(member)])));
}

function toLongLiteral(json: number): number {
  // JSON in JavaScript cannot carry more: a larger literal would silently become another number.
  if (Number.isSafeInteger(json)) return json;
  return refuse(`an integer literal lies beyond ±${Number.MAX_SAFE_INTEGER}; use a smaller one`);
}

function toExtensionValue({ fn, arg }: Readonly<Record<string, unknown>>): Value {
  const name = toText(fn);
  const text = toText(arg);
  const value = EXTENSION_FUNCTIONS.get(name)?.call(text, text);
  return value === undefined || isFailure(value) || isUnknown(value) ? refuse(`\`${name}\` makes no value`) : value;
}
