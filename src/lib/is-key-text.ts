/**
 * Whether a text can be a key in an `Authorization` header (RFC 9110 §5.5). What cannot MUST NOT become one: the error that `fetch`
 * throws for it quotes all of it.
 */
export function isKeyText(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}
