import { toDecimal } from "./decimal.ts";

/** Fewer digits, without an exponent, a double always holds. */
const MAY_BE_LOST = /\d[\d.]{15}|\d[eE][+-]?\d/;
const TEXT_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d[\d.]*(?:[eE][+-]?\d+)?/g;

/**
 * The same JSON with each number that a double does not hold (`1e999`, `9007199254740993`) as a text of what was written: read and
 * written again it would be another number, or `null`.
 */
export function quoteLostNumbers(json: string): string {
  if (!MAY_BE_LOST.test(json)) return json;
  return json.replaceAll(TEXT_OR_NUMBER, (part) => (part.startsWith('"') || isHeld(part) ? part : `"${part}"`));
}

function isHeld(written: string): boolean {
  const number = Number(written);
  return Number.isFinite(number) && toDecimal(written) === toDecimal(String(number));
}
