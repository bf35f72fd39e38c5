import { expect, test } from "vitest";
import { isIpInRanges, isRangeWithin, networkOf, parseIpRange, type IpRange } from "./ip.ts";

test.each([
  ["10.1.2.3", "10.0.0.0/8", true],
  ["::ffff:10.1.2.3", "10.0.0.0/8", true],
  ["11.1.2.3", "10.0.0.0/8", false],
  ["192.0.2.1", "192.0.2.1", true],
  ["2001:db8::5", "2001:db8::/32", true],
  ["2001:db9::5", "2001:db8::/32", false],
  ["10.1.2.3", "::/0", false],
  ["garbage", "0.0.0.0/0", false],
])("%s in %s: %s", (ip, range, expected) => {
  const parsed = parseIpRange(range);
  expect(parsed).toBeDefined();
  const ranges: IpRange[] = parsed === undefined ? [] : [parsed];
  expect(isIpInRanges(ip, ranges)).toBe(expected);
});

test.each(["10.0.0.0/33", "10.1", "example.com", "", "0x7f.1"])("%s is no range", (text) => {
  expect(parseIpRange(text)).toBeUndefined();
});

test.each([
  ["10.1.0.0/16", "10.0.0.0/8", true],
  ["10.0.0.0/8", "10.0.0.0/8", true],
  ["10.0.0.0/7", "10.0.0.0/8", false],
  ["11.0.0.1", "10.0.0.0/8", false],
  ["2001:db8::1", "2001:db8::/32", true],
  ["::/0", "0.0.0.0/0", false],
  ["10.0.0.1", "::/0", false],
])("%s within %s: %s", (inner, outer, expected) => {
  const [small, large] = [parseIpRange(inner), parseIpRange(outer)];
  if (small === undefined || large === undefined) throw new Error("both are ranges");
  expect(isRangeWithin(small, large)).toBe(expected);
});

test.each([
  ["192.0.2.1", "192.0.2.1"],
  ["::ffff:192.0.2.1", "192.0.2.1"],
  ["2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"],
  ["2001:0db8:0001:0002::1", "2001:db8:1:2::/64"],
  ["garbage", undefined],
])("%s is one place with %s", (ip, network) => {
  expect(networkOf(ip)).toBe(network);
});
