/**
 * The bytes of a text that `toString("base64url")` gave. Undefined for every other text: the decoder of Node skips what it does not
 * know and the unused bits of the last character, so that several texts would stand for the same bytes (RFC 4648 §3.5).
 */
export function decodeBase64url(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64url");
  return bytes.toString("base64url") === text ? bytes : undefined;
}
