import { array, assert, constantFrom, infiniteStream, property, double, string, tuple } from "fast-check";
import { expect, test } from "vitest";
import { HOLE, sampleOf, skeletonsOf } from "../../test/harness/pattern-language.ts";
import { MARKS, selectPatterns } from "./candidate-patterns.ts";
import { findSecretSpans, MATCH_CHARACTERS_MIN } from "./find-secrets.ts";
import { KEY_PATTERNS, PLACE_PATTERNS, type SecretPattern } from "./secret-patterns.ts";

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

const select = selectPatterns(PATTERNS);

function expectAllSelected(text: string): number {
  const matching = PATTERNS.filter(({ pattern }) => text.search(pattern) >= 0);
  const selected = new Set(select(text));
  for (const pattern of matching) expect(selected.has(pattern), `${pattern.type} in ${text}`).toBe(true);
  return matching.length;
}

/** Which forms of its matches a pattern would be left out for. */
function hiddenForms({ pattern, needs, marks }: SecretPattern): readonly string[] {
  const forms = skeletonsOf(pattern).map(({ text }) => (pattern.ignoreCase ? text.toLowerCase() : text));
  return forms.filter(
    (form) =>
      !needs.some((part) => form.includes(part)) ||
      (marks !== undefined && !marks.split("").some((mark) => form.includes(mark))),
  );
}

test.each(PATTERNS.map((pattern) => [pattern.type, pattern] as const))(
  "every match of %s holds what its pattern is selected by",
  (_type, pattern) => {
    expect(hiddenForms(pattern)).toEqual([]);
    // A mark that is not looked for is in no text, and what is not in lower case in no lowered one.
    expect((pattern.marks ?? "").split("").filter((mark) => !MARKS.includes(mark))).toEqual([]);
    if (pattern.pattern.ignoreCase) expect(pattern.needs.map((part) => part.toLowerCase())).toEqual(pattern.needs);
    expect(pattern.needs.filter((part) => !/^[\x20-\x7e]+$/.test(part))).toEqual([]);
    // With these, `\u017f` would match an `s` that is not in the text.
    expect(pattern.pattern.flags).not.toMatch(/[uv]/);
  },
);

test("finds a form that a planted pattern would be left out for", () => {
  const planted = (pattern: RegExp, needs: string[], marks?: string) =>
    hiddenForms({ type: "planted", pattern, needs, ...(marks === undefined ? {} : { marks }) });
  expect(planted(/a[bc]_x{3,9}/, ["ab_"])).toEqual([`ac_${HOLE}`]);
  expect(planted(/ab?_\d{2}/, ["ab_"])).toEqual([`a_${HOLE}`]);
  expect(planted(/(?:key|Token)=/i, ["key", "Token"])).toEqual(["token="]);
  expect(planted(/key[:=]x/, ["key"], ":")).toEqual(["key=x"]);
  expect(planted(/ke[a-z]{0,1}y/, ["key"])).toEqual([`ke${HOLE}y`]);
  expect(planted(/(?<!a)k?e?key[=:]{1,3}[^a-z]{2}\b/, ["key"])).toEqual([]);
});

test("no match is shorter than the texts that are not searched at all", () => {
  const shortest = PATTERNS.flatMap(({ pattern }) => skeletonsOf(pattern).map(({ lengthMin }) => lengthMin));
  expect(Math.min(...shortest)).toBe(MATCH_CHARACTERS_MIN);
  expect(findSecretSpans("://:x@")).toEqual([{ type: "url-password", start: 4, end: 5 }]);
});

test("leaves out no pattern that matches", () => {
  let matches = 0;
  const text = array(constantFrom(...PIECES).chain((piece) => (piece === " " ? string() : constantFrom(piece))));
  assert(
    property(text, (pieces) => {
      matches += expectAllSelected(pieces.join(""));
    }),
    { numRuns: 3_000 },
  );
  expect(matches).toBeGreaterThan(100);
});

test("leaves out no pattern for a text that is made from it, whole, cut, or among others", () => {
  const seen = new Set<SecretPattern>();
  const random = infiniteStream(double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
  const cut = double({ min: 0, max: 1, noNaN: true });
  assert(
    property(tuple(random, constantFrom(...PATTERNS), constantFrom(...PATTERNS), cut), ([stream, one, other, at]) => {
      const next = (): number => stream.next().value ?? 0;
      const [own, others] = [sampleOf(one.pattern, next), sampleOf(other.pattern, next)];
      const middle = Math.floor(own.length * at);
      const texts = [own, ` ${own} `, `${own}${others}`, `${own.slice(0, middle)}\n${own.slice(middle)}`];
      for (const text of [...texts, own.slice(middle) + others, others.slice(0, middle) + own]) {
        expectAllSelected(text);
        if (text.search(one.pattern) >= 0) seen.add(one);
      }
    }),
    { numRuns: 3_000 },
  );
  expect(PATTERNS.filter((pattern) => !seen.has(pattern)).map(({ type }) => type)).toEqual([]);
});

test("tries no pattern on plain prose", () => {
  expect(select("lorem ipsum dolor sit amet ".repeat(40))).toEqual([]);
});
