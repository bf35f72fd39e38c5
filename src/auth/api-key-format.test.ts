import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { toKeyHint } from "../domain/api-key.ts";
import { claimedKeyKind, generateApiKey, hasValidChecksum, hashApiKey } from "./api-key-format.ts";

test.each(["organization", "agent", "device"] as const)(
  "a generated %s key has its prefix and a valid checksum",
  (kind) => {
    const key = generateApiKey(kind);
    expect(claimedKeyKind(key)).toBe(kind);
    expect(hasValidChecksum(key)).toBe(true);
    expect(generateApiKey(kind)).not.toBe(key);
  },
);

test("finds a mistyped character", () => {
  const key = generateApiKey("organization");
  const wrong = key.slice(0, 10) + (key[10] === "a" ? "b" : "a") + key.slice(11);
  expect(hasValidChecksum(wrong)).toBe(false);
  expect(hasValidChecksum(`rl_other_${key.slice(7)}`)).toBe(false);
});

test("hashes differ by pepper, hints do not tell the key", () => {
  const key = generateApiKey("agent");
  expect(hashApiKey(key, randomBytes(32))).not.toBe(hashApiKey(key, randomBytes(32)));
  expect(toKeyHint(key, "agent")).toBe(`rl_agent_…${key.slice(-4)}`);
});
