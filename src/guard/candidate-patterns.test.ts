import { array, assert, constantFrom, property, string } from "fast-check";
import { expect, test } from "vitest";
import { selectPatterns } from "./candidate-patterns.ts";
import { KEY_PATTERNS, PLACE_PATTERNS } from "./secret-patterns.ts";

const PATTERNS = [...KEY_PATTERNS, ...PLACE_PATTERNS];
const BODY = "Zk3Qx9LmPq7Rt2Vw8Yb4Nc6Hd1Jf5Gs0AeUi2345";
/** What secrets are made of, so that random texts hold some. */
const PIECES = [
  ...PATTERNS.flatMap(({ needs }) => [...needs, ...needs.map((part) => part.toUpperCase())]),
  BODY,
  "0123456789",
  "abcdef0123456789abcdef0123456789",
  "@host",
  "--api-",
  "aaaa/",
  "1.",
  "at_",
  ": ",
  "=",
  " ",
];

test("leaves out no pattern that matches", () => {
  const select = selectPatterns(PATTERNS);
  let matches = 0;
  const text = array(constantFrom(...PIECES).chain((piece) => (piece === " " ? string() : constantFrom(piece))));
  assert(
    property(text, (pieces) => {
      const joined = pieces.join("");
      const selected = new Set(select(joined));
      for (const pattern of PATTERNS) {
        if (joined.search(pattern.pattern) < 0) continue;
        matches += 1;
        expect(selected.has(pattern), `${pattern.type} in ${joined}`).toBe(true);
      }
    }),
    { numRuns: 3_000 },
  );
  expect(matches).toBeGreaterThan(100);
});

test("tries no pattern on plain prose", () => {
  expect(selectPatterns(PATTERNS)("lorem ipsum dolor sit amet ".repeat(40))).toEqual([]);
});

test.each("gsk tvly pplx fc ctx7sk re xai r8 phc phx sbp dop glsa pat key nvapi BSA".split(" "))(
  "selects the vendor key of `%s` in both of its forms",
  (prefix) => {
    const select = selectPatterns(PATTERNS);
    for (const mark of ["_", "-"])
      expect(select(`${prefix}${mark}${BODY}`).map(({ type }) => type)).toContain("vendor-key");
  },
);
