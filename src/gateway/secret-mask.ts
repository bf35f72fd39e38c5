import type { Credential, ServerSecrets } from "../domain/server.ts";
import { isSecretName } from "../guard/mask-secrets.ts";
import { toBasic } from "./credentials.ts";

/** Hides a server's credential in what the server itself says. */
export interface SecretMask {
  /** The bytes with `*` in the place of each byte of a secret; the same buffer where there is none. */
  mask(bytes: Buffer): Buffer;
  /** For bytes that come in pieces. */
  start(): ChunkMask;
}

/** One answer, piece by piece; a secret may lie across their borders. */
export interface ChunkMask {
  /** What may go on: all but an end that a secret may begin with. */
  push(chunk: Buffer): Buffer;
  /** What was kept back. */
  end(): Buffer;
}

/** Shorter texts occur by chance, and masking them would spoil answers. */
const SECRET_BYTES_MIN = 8;
const ASTERISK = 0x2a;
const EMPTY = Buffer.alloc(0);

/** Undefined where nothing has to be hidden. The length of answers does not change, and JSON stays JSON. */
export function createSecretMask(secrets: readonly string[]): SecretMask | undefined {
  const forms = new Set(secrets.flatMap(formsOf));
  const needles = [...forms].map((form) => Buffer.from(form)).toSorted((left, right) => right.length - left.length);
  if (needles.length === 0) return undefined;
  const mask = (bytes: Buffer): Buffer => needles.reduce(maskOne, bytes);
  return { mask, start: () => startChunks(needles, mask) };
}

/** What an agent must not see of a server's configuration: its credential, and values whose names say that they are secret. */
export function secretsOf({
  credential,
  headers,
  env,
}: Pick<ServerSecrets, "credential" | "headers" | "env">): string[] {
  const named = [...Object.entries(headers), ...Object.entries(env)].filter(([name]) => isSecretName(name));
  return [...secretsIn(credential), ...named.map(([, value]) => value)];
}

function secretsIn(credential: Credential): readonly string[] {
  switch (credential.type) {
    case "bearer":
      return [credential.token];
    case "header":
      return [credential.value];
    case "basic":
      // Without its padding, which not everybody writes.
      return [credential.password, toBasic(credential.username, credential.password).replace(/=+$/, "")];
    case "oauth-client-credentials":
      return [credential.clientSecret];
    case "env":
      return Object.values(credential.values);
    default:
      return [];
  }
}

/** As the secret stands in JSON, where `/` may be escaped or not. */
function formsOf(secret: string): string[] {
  if (Buffer.byteLength(secret) < SECRET_BYTES_MIN) return [];
  const escaped = JSON.stringify(secret).slice(1, -1);
  return [escaped, escaped.replaceAll("/", "\\/")];
}

function maskOne(bytes: Buffer, needle: Buffer): Buffer {
  let at = bytes.indexOf(needle);
  if (at === -1) return bytes;
  const masked = Buffer.from(bytes);
  for (; at !== -1; at = masked.indexOf(needle, at + needle.length)) masked.fill(ASTERISK, at, at + needle.length);
  return masked;
}

function startChunks(needles: readonly Buffer[], mask: (bytes: Buffer) => Buffer): ChunkMask {
  let kept: Buffer = EMPTY;
  return {
    push(chunk) {
      const masked = mask(kept.length === 0 ? chunk : Buffer.concat([kept, chunk]));
      const end = masked.length - Math.max(...needles.map((needle) => beginningAtEnd(masked, needle)));
      kept = masked.subarray(end);
      return masked.subarray(0, end);
    },
    end() {
      const rest = kept;
      kept = EMPTY;
      return rest;
    },
  };
}

/** How many bytes at the end are the beginning of the needle. */
function beginningAtEnd(bytes: Buffer, needle: Buffer): number {
  const first = needle[0] ?? 0;
  const from = Math.max(0, bytes.length - needle.length + 1);
  for (let at = bytes.indexOf(first, from); at !== -1; at = bytes.indexOf(first, at + 1))
    if (bytes.subarray(at).equals(needle.subarray(0, bytes.length - at))) return bytes.length - at;
  return 0;
}
