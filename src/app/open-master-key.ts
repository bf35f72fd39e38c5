import { findMasterKeyId } from "../auth/pepper.ts";
import type { Store } from "../store/ports.ts";
import type { MasterKey } from "../vault/envelope.ts";
import { settleRotation } from "../vault/master-key-rotation.ts";
import { loadMasterKey } from "../vault/master-key.ts";
import type { Config } from "./config.ts";

/** The master key for this database; a rotation of it that was interrupted is settled first. */
export async function openMasterKey(
  { dataDir, masterKey: key, masterKeyFile: keyFile }: Config,
  store: Store,
): Promise<MasterKey> {
  const sealedUnder = await findMasterKeyId(store);
  settleRotation(dataDir, sealedUnder);
  return loadMasterKey({ dataDir, key, keyFile, sealedUnder });
}
