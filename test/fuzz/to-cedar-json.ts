import type { CedarValueJson } from "@cedar-policy/cedar-wasm/nodejs";
import { isFailure, isLong, isUnknown, type IpRange, type Result } from "../../src/policy/value.ts";

/** A value of ours in the form that the Cedar library reads. */
export function toCedarJson(value: Result): CedarValueJson {
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (isLong(value)) return Number(value);
  if (isFailure(value) || isUnknown(value)) throw new Error("a request holds values only");
  switch (value.kind) {
    case "entity":
      return { __entity: { type: value.type, id: value.id } };
    case "set":
      return value.items().map(toCedarJson);
    case "record":
      return Object.fromEntries(value.names().map((name) => [name, toCedarJson(value.get(name) ?? false)]));
    case "decimal":
      return { __extn: { fn: "decimal", arg: decimalText(BigInt(value.units)) } };
    case "ip":
      return { __extn: { fn: "ip", arg: ipText(value) } };
    case "datetime":
      return { __extn: { fn: "datetime", arg: new Date(Number(value.ms)).toISOString() } };
    default:
      return { __extn: { fn: "duration", arg: `${value.ms}ms` } };
  }
}

function decimalText(units: bigint): string {
  const digits = String(units < 0n ? -units : units).padStart(5, "0");
  return `${units < 0n ? "-" : ""}${digits.slice(0, -4)}.${digits.slice(-4)}`;
}

function ipText({ version, address, prefix }: IpRange): string {
  const width = version === 6 ? 16n : 8n;
  const count = version === 6 ? 8 : 4;
  const parts = Array.from(
    { length: count },
    (_, index) => (address >> (width * BigInt(count - 1 - index))) & ((1n << width) - 1n),
  );
  const text = version === 6 ? parts.map((part) => part.toString(16)).join(":") : parts.join(".");
  return `${text}/${prefix}`;
}
