import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { withOtherUnusedBits } from "../../test/harness/unused-bits.ts";
import { createMasterKey, openText, rewrapSealed, sealText, sealedKeyId } from "./envelope.ts";

const first = createMasterKey(randomBytes(32));
const second = createMasterKey(randomBytes(32));

test("opens what it sealed, and no two records are alike", () => {
  const sealed = sealText("s3cret", "servers/1", first);
  expect(openText(sealed, "servers/1", first)).toBe("s3cret");
  expect(sealed).not.toContain("s3cret");
  expect(sealText("s3cret", "servers/1", first)).not.toBe(sealed);
});

test("does not open in another context or under another key", () => {
  const sealed = sealText("s3cret", "servers/1", first);
  expect(() => openText(sealed, "servers/2", first)).toThrow();
  expect(() => openText(sealed, "servers/1", second)).toThrow();
});

test("does not open with any one character changed", () => {
  const sealed = sealText("s3cret", "servers/1", first);
  for (let index = 0; index < sealed.length; index += 1) {
    const other = sealed[index] === "A" ? "Q" : "A";
    const changed = sealed.slice(0, index) + other + sealed.slice(index + 1);
    expect(() => openText(changed, "servers/1", first), changed).toThrow();
  }
  const same = withOtherUnusedBits(sealed.slice(sealed.lastIndexOf(".") + 1));
  for (const changed of [sealed.slice(0, -same.length) + same, `${sealed}A`, `${sealed}=`, `${sealed} `])
    expect(() => openText(changed, "servers/1", first), changed).toThrow();
});

test("rewraps to a new master key without touching the body", () => {
  const sealed = sealText("s3cret", "servers/1", first);
  const rewrapped = rewrapSealed(sealed, first, second);
  expect(sealedKeyId(rewrapped)).toBe(second.id);
  expect(rewrapped.split(".")[3]).toBe(sealed.split(".")[3]);
  expect(openText(rewrapped, "servers/1", second)).toBe("s3cret");
  expect(rewrapSealed(rewrapped, first, second)).toBe(rewrapped);
  expect(() => openText(rewrapped, "servers/1", first)).toThrow();
});
