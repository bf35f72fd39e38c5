import { failure, type Failure, type Long } from "./value.ts";

const LONG_MIN = -(2n ** 63n);
const LONG_MAX = 2n ** 63n - 1n;

type Arithmetic = "add" | "subtract" | "multiply";

/** Cedar's checked 64-bit arithmetic: an overflow is an evaluation error, never a wrap. */
export function calculate(operation: Arithmetic, left: Long, right: Long): Long | Failure {
  if (typeof left === "number" && typeof right === "number") {
    const fast = inDoubles(operation, left, right);
    if (Number.isSafeInteger(fast)) return fast;
  }
  return toLong(exactly(operation, BigInt(left), BigInt(right)));
}

/** The canonical form of an exact integer, or a failure where Cedar's Long ends. */
export function toLong(exact: bigint): Long | Failure {
  if (exact < LONG_MIN || exact > LONG_MAX) return failure("integer overflow");
  const asNumber = Number(exact);
  return Number.isSafeInteger(asNumber) ? asNumber : exact;
}

function inDoubles(operation: Arithmetic, left: number, right: number): number {
  if (operation === "add") return left + right;
  return operation === "subtract" ? left - right : left * right;
}

function exactly(operation: Arithmetic, left: bigint, right: bigint): bigint {
  if (operation === "add") return left + right;
  return operation === "subtract" ? left - right : left * right;
}
