import { expect, test } from "vitest";
import { withOtherUnusedBits } from "../../test/harness/unused-bits.ts";
import { createSealer } from "./seal.ts";

const scope = { agentId: "a1", serverId: "s1" };
const sealer = createSealer(Buffer.alloc(32, 7));
const sealed = sealer.seal("session", scope, "upstream-session");

test("opens what it sealed, and seals the same handle alike", () => {
  expect(sealer.open("session", scope, sealed)).toBe("upstream-session");
  expect(sealer.seal("session", scope, "upstream-session")).toBe(sealed);
  expect(createSealer(Buffer.alloc(32, 7)).open("session", scope, sealed)).toBe("upstream-session");
  expect(sealed).not.toContain("upstream");
});

test.each([
  ["another agent", "session", { ...scope, agentId: "a2" }, sealed],
  ["another server", "session", { ...scope, serverId: "s2" }, sealed],
  ["another kind", "event", scope, sealed],
  ["the upstream's own handle", "session", scope, "upstream-session"],
  ["an empty text", "session", scope, ""],
  ["a cut text", "session", scope, sealed.slice(0, -2)],
  ["other characters", "session", scope, `${sealed}=`],
  ["a character in its midst that decoders skip", "session", scope, `${sealed.slice(0, 5)}.${sealed.slice(5)}`],
  ["other unused bits in its last character", "session", scope, withOtherUnusedBits(sealed)],
] as const)("does not open a handle for %s", (...[, kind, other, text]) => {
  expect(sealer.open(kind, other, text)).toBeUndefined();
});

test("does not open a handle in which any one bit was changed", () => {
  const bytes = Buffer.from(sealed, "base64url");
  for (let index = 0; index < bytes.length; index += 1) {
    const changed = Buffer.from(bytes);
    changed.writeUInt8(changed.readUInt8(index) ^ 1, index);
    expect(sealer.open("session", scope, changed.toString("base64url"))).toBeUndefined();
  }
});

test("does not open a handle under another master key", () => {
  expect(createSealer(Buffer.alloc(32, 8)).open("session", scope, sealed)).toBeUndefined();
});
