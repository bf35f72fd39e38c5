import { once } from "node:events";
import { createInterface } from "node:readline";
import { Readable } from "node:stream";
import { assert, asyncProperty, constantFrom, jsonValue, string } from "fast-check";
import { expect, test } from "vitest";
import { bytesOnOneLine, toOneLine } from "./one-line.ts";

const BREAKS = ["\n", "\r", "\r\n", "\u0085", "\u2028", "\u2029"];

test.each(BREAKS.slice(3))("escapes a line break in a text (%j)", (found) => {
  const json = `{"a":"x${found}y\\\\${found}"}`;
  const line = toOneLine(json);
  expect(line).not.toContain(found);
  expect(JSON.parse(line)).toEqual(JSON.parse(json));
});

test("says the same on one line for every reader of lines", async () => {
  const value = jsonValue({ stringUnit: constantFrom("a", "\\", '"', "é", ...BREAKS) });
  const property = asyncProperty(
    value,
    string({ unit: constantFrom(" ", "\n", "\r"), maxLength: 3 }),
    async (given, space) => {
      const line = bytesOnOneLine(Buffer.from(space + JSON.stringify(given, undefined, 1) + space));
      const reader = createInterface({ input: Readable.from([line]) });
      const lines: string[] = [];
      reader.on("line", (text) => lines.push(text));
      await once(reader, "close");
      expect(lines).toHaveLength(1);
      expect(JSON.parse(lines[0] ?? "")).toEqual(JSON.parse(JSON.stringify(given)));
    },
  );
  await assert(property, { numRuns: 200 });
});

test("keeps what is on one line already as it is", () => {
  for (const text of ['{"a":1}', '{"a":"é€Â"}']) {
    const bytes = Buffer.from(text);
    expect(bytesOnOneLine(bytes)).toBe(bytes);
  }
});
