import { randomBytes } from "node:crypto";
import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../lib/errors.ts";
import { makeFolder } from "../lib/make-folder.ts";
import { createMasterKey, type MasterKey } from "./envelope.ts";

const KEY_FILE = "master.key";
const EXAMPLE = "`openssl rand -base64 32` makes one";

export interface MasterKeySource {
  readonly dataDir: string;
  /** The key itself, base64 or hex of 32 bytes. */
  readonly key?: string | undefined;
  readonly keyFile?: string | undefined;
  /** Id of the key that the database is under; undefined where nothing is sealed yet. */
  readonly sealedUnder?: string | undefined;
}

/** The path of the key file that we made ourselves. */
export function ownKeyFile(dataDir: string): string {
  return join(dataDir, KEY_FILE);
}

/** The file that a rotation writes before it rewraps the database; see `master-key-rotation.ts`. */
export function nextKeyFile(dataDir: string): string {
  return join(dataDir, `${KEY_FILE}.next`);
}

/** Where the key of a rotation goes that did not take place. The name is the id that sealed records carry. */
export function unusedKeyFile(dataDir: string, { id }: MasterKey): string {
  return join(dataDir, `${KEY_FILE}.${id}.unused`);
}

/**
 * The master key from the environment, a given file, or our own file in the data directory (made on first use, mode 0600).
 * Throws `invalid_input` with one line that names the variable, the fault and a valid example; `unavailable` where our file is gone
 * and its key needed: a new one in its place would open nothing and look like the old one.
 */
export function loadMasterKey(source: MasterKeySource): MasterKey {
  if (source.key !== undefined) return parseMasterKey(source.key, "RUNLAYER_MASTER_KEY");
  if (source.keyFile !== undefined) return readKeyFile(source.keyFile, "RUNLAYER_MASTER_KEY_FILE");
  const path = ownKeyFile(source.dataDir);
  if (!existsSync(path)) {
    if (source.sealedUnder !== undefined) throw isGone(path, source.sealedUnder);
    writeKeyFile(path, randomBytes(32));
  }
  return readKeyFile(path, "the key file in the data directory");
}

/** Reads a key file that only its owner may read. */
export function readKeyFile(path: string, what: string): MasterKey {
  if (!existsSync(path)) throw new AppError("invalid_input", `${what}: no file \`${path}\`; ${EXAMPLE}`);
  const found = statSync(path);
  if (found.isDirectory()) throw new AppError("invalid_input", `${what}: \`${path}\` is a folder; ${EXAMPLE}`);
  const isOpenToOthers = process.platform !== "win32" && (found.mode & 0o077) !== 0;
  if (isOpenToOthers) {
    throw new AppError("invalid_input", `${what}: \`${path}\` is readable by others; run \`chmod 600 ${path}\``);
  }
  return parseMasterKey(readFileSync(path, "utf8").trim(), `${what} (${path})`);
}

function isGone(path: string, keyId: string): AppError {
  return new AppError(
    "unavailable",
    `there is no master key file \`${path}\`, and the secrets of this installation are sealed under one (id \`${keyId}\`); put it back, or set RUNLAYER_MASTER_KEY to that key`,
  );
}

/** Writes a key file whole or not at all, readable by its owner only. Its folder is made if it is missing: with PostgreSQL nobody else does. */
export function writeKeyFile(path: string, bytes: Buffer): void {
  makeFolder(dirname(path), 0o700);
  const draft = `${path}.tmp`;
  writeFileSync(draft, `${bytes.toString("base64")}\n`, { mode: 0o600, flush: true });
  chmodSync(draft, 0o600);
  renameSync(draft, path);
  syncFolder(dirname(path));
}

/** Makes a renamed file keep its new name when the power fails. Windows opens no folders and has no need to. */
export function syncFolder(path: string): void {
  if (process.platform === "win32") return;
  const folder = openSync(path, "r");
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

function parseMasterKey(text: string, what: string): MasterKey {
  const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
  if (bytes.length === 32) return createMasterKey(bytes);
  throw new AppError("invalid_input", `${what}: must be 32 bytes in base64 or hex, not ${bytes.length}; ${EXAMPLE}`);
}
