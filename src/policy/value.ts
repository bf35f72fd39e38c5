/**
 * Cedar values as the evaluator holds them. A Cedar Long is 64 bits: it is a JavaScript number while that is exact and a
 * bigint beyond, never both, so `===` and `<` mean what Cedar means.
 */
export type Long = number | bigint;

export interface EntityUid {
  readonly kind: "entity";
  readonly type: string;
  readonly id: string;
  /** One string per entity, made by `entityUid`, so that equality and set membership are one comparison. */
  readonly key: string;
}

export interface CedarSet {
  readonly kind: "set";
  readonly items: () => readonly Value[];
  readonly contains: (value: Value) => boolean;
}

export interface CedarRecord {
  readonly kind: "record";
  readonly get: (name: string) => Result | undefined;
  readonly names: () => readonly string[];
}

export interface Decimal {
  readonly kind: "decimal";
  /** The number times 10 000: Cedar decimals have four places. */
  readonly units: Long;
}

export interface IpRange {
  readonly kind: "ip";
  readonly version: 4 | 6;
  readonly address: bigint;
  readonly prefix: number;
}

/** A point in time or a span, in milliseconds. */
export interface Instant {
  readonly kind: "datetime" | "duration";
  readonly ms: Long;
}

export type Value = boolean | Long | string | EntityUid | CedarSet | CedarRecord | Decimal | IpRange | Instant;

/** An evaluation error of one policy. It is a value, not an exception: a flood of bad arguments must not cost stack traces. */
export interface Failure {
  readonly kind: "failure";
  readonly message: string;
}

/**
 * A value that depends on arguments or time while a list is filtered. `outcomes` says which results a boolean may still
 * have: 1 true, 2 false, 4 error.
 */
export interface Unknown {
  readonly kind: "unknown";
  readonly outcomes: number;
}

export type Result = Value | Failure | Unknown;

export function entityUid(type: string, id: string): EntityUid {
  return { kind: "entity", type, id, key: entityKey(type, id) };
}

/** A quote cannot stand in a type name, so no two entities share a key. */
export function entityKey(type: string, id: string): string {
  return `${type}"${id}`;
}

export function failure(message: string): Failure {
  return { kind: "failure", message };
}

export function isFailure(result: Result): result is Failure {
  return typeof result === "object" && result.kind === "failure";
}

export function isUnknown(result: Result): result is Unknown {
  return typeof result === "object" && result.kind === "unknown";
}

export function isLong(result: Result): result is Long {
  return typeof result === "number" || typeof result === "bigint";
}

const SET_INDEX_MIN = 8;

export function cedarSet(items: readonly Value[]): CedarSet {
  // Long lists of plain values are common in rules; below this size a scan is as fast as hashing.
  const index = items.length >= SET_INDEX_MIN && items.every(isPlain) ? new Set<unknown>(items) : undefined;
  return {
    kind: "set",
    items: () => items,
    contains: (value) =>
      index === undefined ? items.some((item) => valuesEqual(item, value)) : isPlain(value) && index.has(value),
  };
}

export function cedarRecord(members: ReadonlyMap<string, Value>): CedarRecord {
  return { kind: "record", get: (name) => members.get(name), names: () => [...members.keys()] };
}

/** Cedar's `==`: values of different types are unequal, sets ignore order and repetition. Never fails. */
export function valuesEqual(left: Result, right: Result): boolean {
  if (typeof left !== "object" || typeof right !== "object") return left === right;
  if (left.kind === "set" && right.kind === "set") return isSubset(left, right) && isSubset(right, left);
  if (left.kind === "record" && right.kind === "record") return sameRecord(left, right);
  return left.kind === right.kind && sameAtom(left, right);
}

export function isSubset(left: CedarSet, right: CedarSet): boolean {
  return left.items().every((item) => right.contains(item));
}

/** Cedar's name of a value's type, for messages. */
export function typeName(value: Result): string {
  if (isLong(value)) return "long";
  if (typeof value === "string") return "string";
  if (typeof value === "boolean") return "boolean";
  return value.kind === "entity" ? `(entity of type \`${value.type}\`)` : value.kind;
}

function isPlain(value: Value): boolean {
  return typeof value !== "object";
}

function sameAtom(left: Exclude<Result, string | boolean | Long>, right: Result): boolean {
  if (typeof right !== "object") return false;
  if (left.kind === "entity" && right.kind === "entity") return left.key === right.key;
  if (left.kind === "decimal" && right.kind === "decimal") return left.units === right.units;
  if (left.kind === "ip" && right.kind === "ip") return sameRange(left, right);
  return "ms" in left && "ms" in right && left.ms === right.ms;
}

function sameRange(left: IpRange, right: IpRange): boolean {
  return left.version === right.version && left.address === right.address && left.prefix === right.prefix;
}

function sameRecord(left: CedarRecord, right: CedarRecord): boolean {
  const names = left.names();
  if (names.length !== right.names().length) return false;
  return names.every((name) => {
    const own = left.get(name);
    const other = right.get(name);
    return own !== undefined && other !== undefined && valuesEqual(own, other);
  });
}
