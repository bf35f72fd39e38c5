import fc from "fast-check";
import { expect, test } from "vitest";
import { createSecretMask, secretsOf } from "./secret-mask.ts";

const NONE = { credential: { type: "none" }, headers: {}, env: {} } as const;

test("hides each occurrence, and changes no length", () => {
  const mask = createSecretMask(["sk-12345678"]);
  const text = '{"a":"Bearer sk-12345678","b":["sk-12345678sk-12345678","sk-1234567"]}';
  const masked = mask?.mask(Buffer.from(text)).toString();
  expect(masked).toBe(text.replaceAll("sk-12345678", "***********"));
});

test("hides a secret as it stands in JSON, whose parse it leaves sound", () => {
  const secret = 'a/b"c\\d/\u00e9f';
  const mask = createSecretMask([secret]);
  for (const text of [JSON.stringify({ x: secret }), JSON.stringify({ x: secret }).replaceAll("/", "\\/")]) {
    const masked = mask?.mask(Buffer.from(text)).toString() ?? "";
    expect(JSON.parse(masked).x).toMatch(/^\*+$/);
  }
});

test("hides a secret wherever the pieces of the answer end", () => {
  const secrets = ["aabaabaac", "abcabcabd", "********x"];
  const mask = createSecretMask(secrets);
  const piece = fc.constantFrom("a", "b", "c", "aab", "aabaa", "abc", "*", "d", ...secrets);
  fc.assert(
    fc.property(fc.array(fc.array(piece, { maxLength: 4 }).map((parts) => parts.join(""))), (chunks) => {
      const masking = mask?.start();
      if (masking === undefined) throw new Error("nothing to hide");
      const out = [
        ...chunks.map((chunk) => masking.push(Buffer.from(chunk)).toString()),
        masking.end().toString(),
      ].join("");
      expect(out).toHaveLength(chunks.join("").length);
      for (const secret of secrets.slice(0, 2)) expect(out).not.toContain(secret);
      expect(out.replaceAll("*", "")).toBe(removed(chunks.join(""), out));
    }),
    { numRuns: 2000 },
  );
});

/** What is not masked is what stood there. */
function removed(text: string, masked: string): string {
  return Array.from(text, (character, index) => (masked[index] === "*" ? "" : character)).join("");
}

test.each([
  [{ ...NONE, credential: { type: "bearer", token: "t0ken-1234" } }, ["t0ken-1234"]],
  [
    { ...NONE, credential: { type: "basic", username: "u", password: "passw0rd!" } },
    ["passw0rd!", Buffer.from("u:passw0rd!").toString("base64").replace(/=+$/, "")],
  ],
  [{ ...NONE, credential: { type: "header", name: "X-Key", value: "v-12345678" } }, ["v-12345678"]],
  [{ ...NONE, credential: { type: "env", values: { A: "e-12345678" } } }, ["e-12345678"]],
  [{ ...NONE, headers: { "x-api-key": "h-12345678", "x-region": "eu-central" } }, ["h-12345678"]],
  [{ ...NONE, env: { API_TOKEN: "n-12345678", HOME: "/home/somebody" } }, ["n-12345678"]],
] as const)("knows the secrets of %j", (given, expected) => {
  expect(secretsOf(given)).toEqual(expected);
});

test("leaves short texts alone, which occur by chance", () => {
  expect(createSecretMask(["1234567", ""])).toBeUndefined();
});
