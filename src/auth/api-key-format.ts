import { createHmac, type KeyObject, randomBytes } from "node:crypto";
import { crc32 } from "node:zlib";
import { KEY_PREFIXES, type KeyKind } from "../domain/api-key.ts";

const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";
const SECRET_BYTES = 20;
const CHECKSUM_CHARACTERS = 7;
const KEY_FORMAT = /^rl_(org|agent|device)_[a-z2-7]{39}$/;

/** A new key: prefix, 160 random bits in base32, CRC-32 of both in base32 (so that scanners and people can spot a mistyped key). */
export function generateApiKey(kind: KeyKind): string {
  const body = `${KEY_PREFIXES[kind]}${toBase32(randomBytes(SECRET_BYTES))}`;
  return `${body}${checksum(body)}`;
}

/** Whether a text has the form and the checksum of a generated key. A bootstrap key chosen by hand need not. */
export function hasValidChecksum(key: string): boolean {
  if (!KEY_FORMAT.test(key)) return false;
  return checksum(key.slice(0, -CHECKSUM_CHARACTERS)) === key.slice(-CHECKSUM_CHARACTERS);
}

/** What is stored of a key: HMAC-SHA-256 under the installation's pepper, hex. A stolen table cannot be searched without the pepper. */
export function hashApiKey(key: string, pepper: Buffer | KeyObject): string {
  return createHmac("sha256", pepper).update(key).digest("hex");
}

/** The kind that a presented key claims by its prefix. */
export function claimedKeyKind(key: string): KeyKind | undefined {
  if (key.startsWith(KEY_PREFIXES.organization)) return "organization";
  if (key.startsWith(KEY_PREFIXES.agent)) return "agent";
  return key.startsWith(KEY_PREFIXES.device) ? "device" : undefined;
}

function checksum(text: string): string {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(crc32(text));
  return toBase32(bytes).slice(0, CHECKSUM_CHARACTERS);
}

/** RFC 4648 §6 without padding, in lower case. */
function toBase32(bytes: Buffer): string {
  let bits = "";
  for (const byte of bytes) bits += byte.toString(2).padStart(8, "0");
  return (bits.match(/.{1,5}/g) ?? []).map((five) => ALPHABET.charAt(Number.parseInt(five.padEnd(5, "0"), 2))).join("");
}
