import { existsSync } from "node:fs";
import { AppError } from "../lib/errors.ts";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "./ports.ts";
import { migrate } from "./sql/migrations.ts";
import { SqlStore, type SqlBackend } from "./sql/sql-store.ts";
import { databaseFile, openSqlite } from "./sql/sqlite/open-sqlite.ts";
import { toStoreError } from "./sql/to-store-error.ts";

export interface StoreSettings {
  /** Made with mode 0700 if it does not exist. Not used with `databaseUrl`. */
  readonly dataDir: string;
  /** `postgres://…`; without it a SQLite file in the data directory. */
  readonly databaseUrl?: string | undefined;
  readonly clock: Clock;
}

/**
 * Opens the database and brings its schema up to date. Throws, with one line for the operator, `unavailable` when it cannot be
 * opened or is of a newer program, `conflict` when another process has it, and `invalid_input` when the data directory is no folder. The caller MUST close the store.
 */
export async function openStore({ dataDir, databaseUrl, clock }: StoreSettings): Promise<Store> {
  const backend = databaseUrl === undefined ? await openSqlite(dataDir) : await openDatabase(databaseUrl);
  try {
    await migrate(backend.writer, backend.dialect, clock.now());
    await backend.start();
    return new SqlStore(backend);
  } catch (error) {
    await backend.close();
    const known = toStoreError(error);
    if (known instanceof AppError) throw known;
    throw new AppError("unavailable", "the database cannot be brought to this program's schema; the log says why", {
      cause: error,
    });
  }
}

/** Whether there is something to open. True for PostgreSQL, which says itself what it has not. */
export function hasDatabase({ dataDir, databaseUrl }: Pick<StoreSettings, "dataDir" | "databaseUrl">): boolean {
  return databaseUrl !== undefined || existsSync(databaseFile(dataDir));
}

/** Loaded on use: most installations have no PostgreSQL. */
async function openDatabase(databaseUrl: string): Promise<SqlBackend> {
  const { openPostgres } = await import("./sql/postgres/open-postgres.ts");
  return openPostgres(databaseUrl);
}
