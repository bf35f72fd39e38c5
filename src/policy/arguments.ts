import { parseDecimal } from "./extensions.ts";
import { isJsonObject } from "./json-tree.ts";
import { type CedarRecord, type CedarSet, cedarSet, entityUid, isFailure, type Value } from "./value.ts";

/** `null` as Cedar sees it: equal to itself only, the wrong type for anything else. */
export const NULL = entityUid("Runlayer::Null", "null");

/**
 * The Cedar value of a JSON value, the one mapping between the two worlds:
 * text and booleans as they are; integers that a double holds exactly become Long; other numbers of at most four decimal
 * places become decimal; any further number becomes an entity `Runlayer::Number`, and `null` the entity `Runlayer::Null`,
 * so that they never fail a request but only the policies that test them with anything but `==`; arrays become sets
 * (order and repetition are lost) and objects records. Members are converted when a policy reads them.
 */
export function toCedarArgument(json: unknown): Value {
  if (typeof json === "string" || typeof json === "boolean") return json;
  if (typeof json === "number") return toCedarNumber(json);
  if (Array.isArray(json)) return lazySet(json);
  return isJsonObject(json) ? lazyRecord(json) : NULL;
}

function toCedarNumber(json: number): Value {
  if (Number.isSafeInteger(json)) return json;
  const text = String(json);
  const decimal = parseDecimal(text);
  return isFailure(decimal) ? entityUid("Runlayer::Number", text) : decimal;
}

function lazyRecord(json: Readonly<Record<string, unknown>>): CedarRecord {
  return {
    kind: "record",
    // Own members only: an argument named `constructor` that is not there must be missing.
    get: (name) => (Object.hasOwn(json, name) ? toCedarArgument(json[name]) : undefined),
    names: () => Object.keys(json),
  };
}

function lazySet(json: readonly unknown[]): CedarSet {
  let set: CedarSet | undefined;
  const converted = (): CedarSet => (set ??= cedarSet(json.map(toCedarArgument)));
  return { kind: "set", items: () => converted().items(), contains: (value) => converted().contains(value) };
}
