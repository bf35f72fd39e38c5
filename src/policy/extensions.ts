import { durationSince, offset, parseDatetime, parseDuration, toDate, toTime, toUnits } from "./instant.ts";
import { isInRange, isLoopback, isMulticast, parseIpRange } from "./ip-range.ts";
import { toLong } from "./long.ts";
import { type Decimal, type Failure, failure, type Instant, type IpRange, type Result, typeName } from "./value.ts";

export interface ExtensionFunction {
  readonly arity: 1 | 2;
  /** Makes a value from text, so a call on a literal is computed once, when the policy is compiled. */
  readonly isConstructor: boolean;
  readonly call: (first: Result, second: Result) => Result;
}

const DECIMAL = /^(-?)(\d+)\.(\d{1,4})$/;

/** Cedar's `decimal("…")`: one to four digits after the point, 64 bits in all. */
export function parseDecimal(text: string): Decimal | Failure {
  const match = DECIMAL.exec(text);
  if (match === null) return failure(`\`${text}\` is no decimal`);
  const [, sign = "", whole = "", fraction = ""] = match;
  const units = toLong(BigInt(`${sign}${whole}${fraction.padEnd(4, "0")}`));
  return typeof units === "object" ? units : { kind: "decimal", units };
}

/** Every extension function of Cedar 4.5, by its name in the JSON form. */
export const EXTENSION_FUNCTIONS: ReadonlyMap<string, ExtensionFunction> = new Map([
  ["decimal", constructor(parseDecimal)],
  ["ip", constructor(parseIpRange)],
  ["datetime", constructor(parseDatetime)],
  ["duration", constructor(parseDuration)],
  ["lessThan", decimals((left, right) => left.units < right.units)],
  ["lessThanOrEqual", decimals((left, right) => left.units <= right.units)],
  ["greaterThan", decimals((left, right) => left.units > right.units)],
  ["greaterThanOrEqual", decimals((left, right) => left.units >= right.units)],
  ["isIpv4", ofIp((range) => range.version === 4)],
  ["isIpv6", ofIp((range) => range.version === 6)],
  ["isLoopback", ofIp(isLoopback)],
  ["isMulticast", ofIp(isMulticast)],
  ["isInRange", ofTwoIps(isInRange)],
  ["offset", instants(["datetime", "duration"], offset)],
  ["durationSince", instants(["datetime", "datetime"], durationSince)],
  ["toDate", instant("datetime", toDate)],
  ["toTime", instant("datetime", toTime)],
  ["toMilliseconds", units(1n)],
  ["toSeconds", units(1_000n)],
  ["toMinutes", units(60_000n)],
  ["toHours", units(3_600_000n)],
  ["toDays", units(86_400_000n)],
]);

function constructor(parse: (text: string) => Result): ExtensionFunction {
  return {
    arity: 1,
    isConstructor: true,
    call: (text) => (typeof text === "string" ? parse(text) : wrongType("string", text)),
  };
}

function decimals(compare: (left: Decimal, right: Decimal) => boolean): ExtensionFunction {
  return binary((left, right) => {
    if (!isKind(left, "decimal")) return wrongType("decimal", left);
    return isKind(right, "decimal") ? compare(left, right) : wrongType("decimal", right);
  });
}

function ofIp(test: (range: IpRange) => boolean): ExtensionFunction {
  return unary((range) => (isKind(range, "ip") ? test(range) : wrongType("ipaddr", range)));
}

function ofTwoIps(test: (left: IpRange, right: IpRange) => boolean): ExtensionFunction {
  return binary((left, right) => {
    if (!isKind(left, "ip")) return wrongType("ipaddr", left);
    return isKind(right, "ip") ? test(left, right) : wrongType("ipaddr", right);
  });
}

function instant(kind: Instant["kind"], convert: (time: Instant) => Result): ExtensionFunction {
  return unary((time) => (isKind(time, kind) ? convert(time) : wrongType(kind, time)));
}

function units(unitMs: bigint): ExtensionFunction {
  return instant("duration", (span) => toUnits(span, unitMs));
}

function instants(
  kinds: readonly [Instant["kind"], Instant["kind"]],
  combine: (left: Instant, right: Instant) => Result,
): ExtensionFunction {
  const [leftKind, rightKind] = kinds;
  return binary((left, right) => {
    if (!isKind(left, leftKind)) return wrongType(leftKind, left);
    return isKind(right, rightKind) ? combine(left, right) : wrongType(rightKind, right);
  });
}

function unary(call: (value: Result) => Result): ExtensionFunction {
  return { arity: 1, isConstructor: false, call };
}

function binary(call: (left: Result, right: Result) => Result): ExtensionFunction {
  return { arity: 2, isConstructor: false, call };
}

type Kinds = { decimal: Decimal; ip: IpRange; datetime: Instant; duration: Instant };

function isKind<K extends keyof Kinds>(value: Result, kind: K): value is Kinds[K] {
  return typeof value === "object" && value.kind === kind;
}

function wrongType(wanted: string, value: Result): Failure {
  return failure(`type error: expected ${wanted}, got ${typeName(value)}`);
}
