import { describe, expect, it } from "vitest";
import { maskSecrets } from "../guard/mask-secrets.ts";
import { toPayload } from "./record.ts";

/** Deterministic, so that a failure can be repeated. */
function createDice(seed: number): (sides: number) => number {
  let state = seed;
  return (sides) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * sides);
  };
}

const NAMES = [
  "path",
  "note",
  "password",
  "token",
  "tokens",
  "next_token",
  "größe",
  "a".repeat(40),
  `npm_${"x1".repeat(18)}`,
  "",
];
const TEXTS = [
  "plain words",
  "",
  "ü".repeat(300),
  "word ".repeat(80),
  `${"word ".repeat(50)}sk-ant-${"a1b2c3".repeat(6)}`,
  `ghp_${"a1B2c3D4e5".repeat(4)}`,
  "https://user:hunter2secret@example.com/",
  'a "quoted" word',
  `${"x".repeat(255)}😀 behind`,
  "a:b",
];

function randomValue(dice: (sides: number) => number, depth: number): unknown {
  const kind = dice(depth > 3 ? 4 : 6);
  if (kind === 0) return dice(1000) / 7;
  if (kind === 1) return [null, true, false][dice(3)];
  if (kind < 4) return TEXTS[dice(TEXTS.length)];
  const length = dice(4);
  if (kind === 4) return Array.from({ length }, () => randomValue(dice, depth + 1));
  return Object.fromEntries(
    Array.from({ length }, () => [NAMES[dice(NAMES.length)] ?? "", randomValue(dice, depth + 1)]),
  );
}

function recorded(json: string, setting: "redacted" | "full"): unknown {
  const payload = toPayload({ bytes: Buffer.from(json), value: () => JSON.parse(json) }, setting, maskSecrets);
  return JSON.parse(JSON.stringify(payload));
}

describe("toPayload", () => {
  it("keeps the same of arguments, whether their text or their value is worked on", () => {
    const dice = createDice(20261122);
    for (let round = 0; round < 4_000; round += 1) {
      const args = { value: randomValue(dice, 0), ...Object(randomValue(dice, 0)) };
      const setting = dice(2) === 0 ? "redacted" : "full";
      // White space makes the text one that has to be built, masked and written again.
      expect(recorded(JSON.stringify(args), setting)).toEqual(recorded(JSON.stringify(args, null, 1), setting));
    }
  });

  it("says when the kept arguments are not the ones that were sent", () => {
    expect(recorded('{"a":"b"}', "redacted")).toEqual({ arguments: { a: "b" } });
    expect(recorded(`{"a":"${"b".repeat(300)}"}`, "redacted")).toEqual({
      arguments: { a: `${"b".repeat(256)}... (300 characters)` },
      argumentsAltered: true,
    });
    expect(recorded('{"password":"b"}', "full")).toEqual({
      arguments: { password: "[masked:field]" },
      argumentsAltered: true,
    });
  });

  it("keeps a number that no double holds as it was sent", () => {
    const kept = {
      arguments: { far: "1e999", big: "123456789012345678901234567890", n: 1e20 },
      argumentsAltered: true,
    };
    const members = '"far":1e999,"big":123456789012345678901234567890,"n":1e20';
    for (const json of [`{${members}}`, `{\n${members}}`])
      for (const setting of ["redacted", "full"] as const) expect(recorded(json, setting)).toEqual(kept);
    expect(recorded(`{"n":${"9".repeat(300)}}`, "redacted")).toEqual({
      arguments: { n: `${"9".repeat(256)}... (300 characters)` },
      argumentsAltered: true,
    });
  });
});
