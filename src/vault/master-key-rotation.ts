import { existsSync, renameSync } from "node:fs";
import { randomBytes } from "node:crypto";
import { AppError } from "../lib/errors.ts";
import type { MasterKey } from "./envelope.ts";
import { createMasterKey } from "./envelope.ts";
import { nextKeyFile, ownKeyFile, readKeyFile, syncFolder, unusedKeyFile, writeKeyFile } from "./master-key.ts";

/**
 * Rotation of the key file in the data directory, safe against a crash at any point: the new key is on disk before the database
 * is rewrapped in one transaction, and takes the old one's place after. A start in between finishes it or sets the new key aside.
 */
export function beginRotation(dataDir: string): MasterKey {
  const path = nextKeyFile(dataDir);
  if (existsSync(path)) {
    throw new AppError(
      "conflict",
      `\`${path}\` may be the only copy of the key of another database, whose rotation was interrupted; start once with the RUNLAYER_DATABASE_URL of that one, or move the file away`,
    );
  }
  const bytes = randomBytes(32);
  writeKeyFile(path, bytes);
  return createMasterKey(bytes);
}

/** The database is under the new key now: the new file takes the old one's place. */
export function finishRotation(dataDir: string): void {
  renameSync(nextKeyFile(dataDir), ownKeyFile(dataDir));
  syncFolder(dataDir);
}

/**
 * Settles a rotation that a crash interrupted, from the id of the key that the database is under. No key is ever deleted: this may
 * be another database than the one that was rotated, because a variable was not set, and the new file the only copy of that one's.
 */
export function settleRotation(dataDir: string, databaseKeyId: string | undefined): void {
  const path = nextKeyFile(dataDir);
  if (!existsSync(path)) return;
  const next = readKeyFile(path, "the next key file in the data directory");
  if (next.id === databaseKeyId) return finishRotation(dataDir);
  const own = ownKeyFile(dataDir);
  if (!existsSync(own) || readKeyFile(own, "the key file in the data directory").id !== databaseKeyId) return;
  renameSync(path, unusedKeyFile(dataDir, next));
  syncFolder(dataDir);
}
