import { assert } from "../../src/lib/assert.ts";

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/** The same base64url but for bits of its last character that stand for nothing. MUST NOT encode a multiple of three bytes. */
export function withOtherUnusedBits(text: string): string {
  const changed = text.slice(0, -1) + ALPHABET.charAt(ALPHABET.indexOf(text.slice(-1)) + 1);
  const isSame = Buffer.from(changed, "base64url").equals(Buffer.from(text, "base64url"));
  assert(isSame, "a decoder that is not strict reads both alike");
  return changed;
}
