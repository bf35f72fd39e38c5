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
  return Number.isFinite(number) && decimal(written) === decimal(String(number));
}

/** One text for each amount, its sign apart: digits without zeros at either end, and what power of ten the last one counts. */
function decimal(number: string): string {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().replace("-", "").split(/e/);
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = `${whole}${fraction}`;
  // Loops: an expression would begin anew at each of many zeros.
  let start = 0;
  while (digits[start] === "0") start += 1;
  let end = digits.length;
  while (end > start && digits[end - 1] === "0") end -= 1;
  if (start === end) return "0";
  return `${digits.slice(start, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
