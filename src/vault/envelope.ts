import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { assert } from "../lib/assert.ts";
import { decodeBase64url } from "../lib/base64url.ts";
import { AppError } from "../lib/errors.ts";

const ALGORITHM = "aes-256-gcm";
const KEY_BYTES = 32;
// NIST SP 800-38D §8.2: a random 96-bit IV is safe far beyond the one message that each data key protects.
const IV_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = "v1";

/** A master key with the id that sealed records carry, so that a rotation knows which key opens what. */
export interface MasterKey {
  readonly id: string;
  readonly bytes: Buffer;
}

export function createMasterKey(bytes: Buffer): MasterKey {
  assert(bytes.length === KEY_BYTES, "a master key has 32 bytes");
  return { id: createHash("sha256").update("runlayer master key id").update(bytes).digest("hex").slice(0, 16), bytes };
}

/**
 * Seals a text under a fresh data key, and the data key under the master key (envelope encryption, AES-256-GCM twice).
 * `context` is authenticated, not stored: opening needs the same one, so a record moved to another row does not open.
 */
export function sealText(text: string, context: string, masterKey: MasterKey): string {
  const dataKey = randomBytes(KEY_BYTES);
  const body = encrypt(Buffer.from(text, "utf8"), dataKey, context);
  return [FORMAT, masterKey.id, wrapDataKey(dataKey, masterKey), body.toString("base64url")].join(".");
}

/** Throws where the record was changed, belongs to another context or is under another master key. */
export function openText(sealed: string, context: string, masterKey: MasterKey): string {
  const { keyId, wrapped, body } = parseSealed(sealed);
  assertKey(keyId, masterKey);
  const dataKey = decrypt(wrapped, masterKey.bytes, masterKey.id);
  return decrypt(body, dataKey, context).toString("utf8");
}

/** The same record under a new master key. The body is untouched; a record that is already under it comes back as it is. */
export function rewrapSealed(sealed: string, from: MasterKey, to: MasterKey): string {
  const { keyId, wrapped, body } = parseSealed(sealed);
  if (keyId === to.id) return sealed;
  assertKey(keyId, from);
  const dataKey = decrypt(wrapped, from.bytes, from.id);
  return [FORMAT, to.id, wrapDataKey(dataKey, to), body].join(".");
}

export function sealedKeyId(sealed: string): string {
  return parseSealed(sealed).keyId;
}

function assertKey(keyId: string, masterKey: MasterKey): void {
  if (keyId === masterKey.id) return;
  throw new AppError(
    "unavailable",
    `the secrets of this installation are sealed under another master key (id \`${keyId}\`, given \`${masterKey.id}\`); set RUNLAYER_MASTER_KEY or RUNLAYER_MASTER_KEY_FILE to that one`,
  );
}

function wrapDataKey(dataKey: Buffer, masterKey: MasterKey): string {
  return encrypt(dataKey, masterKey.bytes, masterKey.id).toString("base64url");
}

function parseSealed(sealed: string): { keyId: string; wrapped: string; body: string } {
  const [format, keyId, wrapped, body, ...rest] = sealed.split(".");
  assert(format === FORMAT && keyId && wrapped && body && rest.length === 0, "a sealed record has four parts");
  return { keyId, wrapped, body };
}

function encrypt(clear: Buffer, key: Buffer, context: string): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(Buffer.from(context, "utf8"));
  return Buffer.concat([iv, cipher.update(clear), cipher.final(), cipher.getAuthTag()]);
}

function decrypt(part: string, key: Buffer, context: string): Buffer {
  const bytes = decodeBase64url(part);
  assert(bytes !== undefined && bytes.length >= IV_BYTES + TAG_BYTES, "a sealed part holds an IV and a tag");
  const decipher = createDecipheriv(ALGORITHM, key, bytes.subarray(0, IV_BYTES))
    .setAAD(Buffer.from(context, "utf8"))
    .setAuthTag(bytes.subarray(bytes.length - TAG_BYTES));
  return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, bytes.length - TAG_BYTES)), decipher.final()]);
}
