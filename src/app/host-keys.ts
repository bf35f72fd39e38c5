import type { Config } from "./config.ts";
import { createHostKey } from "../auth/first-start.ts";
import { toHostEvent } from "../auth/host-event.ts";
import { loadPepper } from "../auth/pepper.ts";
import { createSequencer } from "../audit/sequencer.ts";
import { systemClock, toRfc3339 } from "../lib/clock.ts";
import { AppError } from "../lib/errors.ts";
import { hasDatabase, openStore } from "../store/open-store.ts";
import type { Store } from "../store/ports.ts";
import { rewrapSealed } from "../vault/envelope.ts";
import { beginRotation, finishRotation } from "../vault/master-key-rotation.ts";
import { readKeyFile } from "../vault/master-key.ts";
import { createVault } from "../vault/vault.ts";
import { openMasterKey } from "./open-master-key.ts";

/*
 * `runlayer keys …`: what an operator does on the host, directly on the data directory. The store refuses while a server holds it.
 */

const ASK_SERVER = "while a server runs, set RUNLAYER_URL and RUNLAYER_API_KEY, and the server makes the key";
const STOP_SERVER = "if a server runs, stop it first";

/**
 * Makes an owner key, for whoever lost theirs: access to the data directory is the proof of right. `made` answers as create_api_key,
 * `where` says in which installation, and whether that is a new one: a mistyped directory looks like a first start.
 */
export async function createKeyOnHost(config: Config, name: string) {
  const { databaseUrl, dataDir } = config;
  const place = databaseUrl === undefined ? `\`${dataDir}\`` : "the database of RUNLAYER_DATABASE_URL";
  const where = hasDatabase(config) ? place : `${place}, a new installation: there was none`;
  return { made: await createKey(config, name), where };
}

async function createKey(config: Config, name: string) {
  return withStore(config, ASK_SERVER, async (store) => {
    const vault = createVault(await openMasterKey(config, store));
    const pepper = await loadPepper(store, vault);
    const { key, secret } = await createHostKey({ store, pepper, now: systemClock.now(), name });
    await createSequencer({ store }).close();
    const { id, kind, hint, role, createdAt, version } = key;
    return { apiKey: { id, name, kind, hint, role, createdAt: toRfc3339(createdAt), version }, secret };
  });
}

/**
 * Puts every sealed record under a new master key; no API key is invalidated. A key that comes by variable or file is replaced by
 * the one in `newKeyFile`, and the configuration must name that afterwards. Gives how many records were rewrapped.
 */
export async function rotateMasterKey(config: Config, newKeyFile: string | undefined): Promise<number> {
  const isOurFile = config.masterKey === undefined && config.masterKeyFile === undefined;
  if (isOurFile === (newKeyFile !== undefined)) {
    throw new AppError(
      "invalid_input",
      isOurFile
        ? "leave out `--new-key-file`: the key file in the data directory is replaced in place"
        : "give the new key in `--new-key-file`; afterwards set RUNLAYER_MASTER_KEY_FILE to that file",
    );
  }
  if (!hasDatabase(config)) {
    throw new AppError(
      "invalid_input",
      `there is no installation in \`${config.dataDir}\`; name its data directory with \`--data-dir\``,
    );
  }
  return withStore(config, STOP_SERVER, async (store) => {
    const from = await openMasterKey(config, store);
    const to = newKeyFile === undefined ? beginRotation(config.dataDir) : readKeyFile(newKeyFile, "--new-key-file");
    const count = await store.transaction(async (repositories) => {
      const records = await repositories.sealedRecords.rewrap((sealed) => rewrapSealed(sealed, from, to));
      const resource = { type: "masterKey", id: to.id, name: to.id };
      const details = { previous: from.id, records };
      await repositories.audit.stage(toHostEvent("masterKey.rotate", resource, { now: systemClock.now(), details }));
      return records;
    });
    await createSequencer({ store }).close();
    if (isOurFile) finishRotation(config.dataDir);
    return count;
  });
}

async function withStore<T>(config: Config, advice: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openIdleStore(config, advice);
  try {
    return await work(store);
  } finally {
    await store.close();
  }
}

async function openIdleStore({ dataDir, databaseUrl }: Config, advice: string): Promise<Store> {
  try {
    return await openStore({ dataDir, databaseUrl, clock: systemClock });
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== "conflict") throw error;
    throw new AppError(error.code, `${error.message}; ${advice}`, { cause: error });
  }
}
