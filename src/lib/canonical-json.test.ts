import { expect, test } from "vitest";
import { toCanonicalJson } from "./canonical-json.ts";

test("sorts members by UTF-16 code units at every depth", () => {
  // The example of RFC 8785 §3.2.3: U+1F600 sorts before U+FB33 because its first surrogate is smaller.
  const value = { "\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\u{1f600}": 5, "\u0080": 6, "\u00f6": { b: 1, a: 2 } };
  expect(toCanonicalJson(value)).toBe(
    '{"\\r":2,"1":4,"\u0080":6,"\u00f6":{"a":2,"b":1},"\u20ac":1,"\u{1f600}":5,"\ufb33":3}',
  );
});

test("writes numbers as ECMAScript does", () => {
  expect(toCanonicalJson([333333333.3333333, 1e30, 4.5, 2e-3, 1e-27, -0])).toBe(
    "[333333333.3333333,1e+30,4.5,0.002,1e-27,0]",
  );
});

test("leaves out undefined members and refuses what JSON cannot hold", () => {
  expect(toCanonicalJson({ a: undefined, b: null })).toBe('{"b":null}');
  expect(() => toCanonicalJson(Number.NaN)).toThrow(/finite/);
  expect(() => toCanonicalJson("\ud800")).toThrow(/surrogate/);
});
