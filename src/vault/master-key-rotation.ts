import { existsSync, renameSync, rmSync } from "node:fs";
import { randomBytes } from "node:crypto";
import type { MasterKey } from "./envelope.ts";
import { createMasterKey } from "./envelope.ts";
import { nextKeyFile, ownKeyFile, readKeyFile, writeKeyFile } from "./master-key.ts";

/**
 * Rotation of the key file in the data directory, safe against a crash at any point: the new key is on disk before the database
 * is rewrapped in one transaction, and takes the old one's place after. A start in between finishes or forgets it.
 */
export function beginRotation(dataDir: string): MasterKey {
  const bytes = randomBytes(32);
  writeKeyFile(nextKeyFile(dataDir), bytes);
  return createMasterKey(bytes);
}

/** The database is under the new key now: the new file takes the old one's place. */
export function finishRotation(dataDir: string): void {
  renameSync(nextKeyFile(dataDir), ownKeyFile(dataDir));
}

/** Settles a rotation that a crash interrupted, from the id of the key that the database is under. */
export function settleRotation(dataDir: string, databaseKeyId: string | undefined): void {
  const path = nextKeyFile(dataDir);
  if (!existsSync(path)) return;
  if (readKeyFile(path, "the next key file in the data directory").id === databaseKeyId) finishRotation(dataDir);
  else rmSync(path);
}
