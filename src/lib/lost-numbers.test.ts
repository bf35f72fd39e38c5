import { expect, test } from "vitest";
import { quoteLostNumbers } from "./lost-numbers.ts";

test.each([
  ["1e999", '"1e999"'],
  ["-1E+400", '"-1E+400"'],
  ["1e-999", '"1e-999"'],
  ["123456789012345678901234567890", '"123456789012345678901234567890"'],
  ["9007199254740993", '"9007199254740993"'],
  ["0.1000000000000000055", '"0.1000000000000000055"'],
  ['{"n":[1,{"far":1e400}],"m":2}', '{"n":[1,{"far":"1e400"}],"m":2}'],
])("keeps what a double does not hold of %s as text", (json, kept) => {
  expect(quoteLostNumbers(json)).toBe(kept);
});

test.each([
  "9007199254740992",
  "0.30000000000000004",
  "1.7976931348623157e308",
  "100000000000000000000",
  "1e20",
  "1.50E+0003",
  "0.00000000000000000000",
  "-0e999",
  "1.0000000000000000000",
  "5e-324",
  "0.00000010000000000",
  '{"text":"1e999 and 9007199254740993","quoted\\"1e999":"\\\\"}',
])("leaves %s as it is", (json) => {
  expect(quoteLostNumbers(json)).toBe(json);
});

test("takes no longer for many zeros than for other digits", () => {
  const zeros = "0".repeat(1_000_000);
  const written = `[1.${zeros}1,${zeros}1]`;
  expect(quoteLostNumbers(written)).toBe(`["1.${zeros}1",${zeros}1]`);
});

test("leaves whatever number was written by JavaScript", () => {
  const bits = new DataView(new ArrayBuffer(8));
  for (let round = 1; round <= 20_000; round += 1) {
    bits.setBigUint64(0, BigInt.asUintN(64, BigInt(round) * 0x9e3779b97f4a7c15n));
    const json = JSON.stringify(bits.getFloat64(0));
    expect(quoteLostNumbers(json)).toBe(json);
  }
});
