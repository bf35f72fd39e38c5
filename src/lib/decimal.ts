/**
 * One text for each amount, however a JSON number writes it (`10`, `10.0`, `1e1`): its sign, its digits without zeros at either end,
 * and what power of ten the last one counts.
 */
export function toDecimal(number: string): string {
  const [mantissa = "", exponent = "0"] = number.toLowerCase().replace(/^-/, "").split("e");
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = `${whole}${fraction}`;
  // Loops: an expression would begin anew at each of many zeros.
  let start = 0;
  while (digits[start] === "0") start += 1;
  let end = digits.length;
  while (end > start && digits[end - 1] === "0") end -= 1;
  if (start === end) return "0";
  const sign = number.startsWith("-") ? "-" : "";
  return `${sign}${digits.slice(start, end)}e${Number(exponent) - fraction.length + digits.length - end}`;
}
