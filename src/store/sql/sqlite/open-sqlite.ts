import { closeSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import { CamelCasePlugin, Kysely } from "kysely";
import { AppError } from "../../../lib/errors.ts";
import type { SqlBackend } from "../sql-store.ts";
import type { Database } from "../schema.ts";
import { StatementError } from "../statement-error.ts";
import { READERS, WRITER } from "./protocol.ts";
import { sqliteDialect } from "./sqlite-driver.ts";
import { SqliteThread } from "./sqlite-thread.ts";

/**
 * Opens `runlayer.db` in the data directory, which is made if it does not exist. Throws `unavailable` when another process has
 * the directory or the file cannot be opened.
 */
export async function openSqlite(dataDir: string): Promise<SqlBackend> {
  const thread = await startThread(dataDir);
  const plugins = [new CamelCasePlugin()];
  const readers = Array.from({ length: READERS }, (_, index) => WRITER + 1 + index);
  return {
    dialect: "sqlite",
    writer: new Kysely<Database>({ dialect: sqliteDialect(thread, [WRITER]), plugins }),
    reader: new Kysely<Database>({ dialect: sqliteDialect(thread, readers), plugins }),
    start: () => Promise.resolve(),
    enterTransaction: () => Promise.resolve(),
    close: () => thread.stop(),
  };
}

async function startThread(dataDir: string): Promise<SqliteThread> {
  const databaseFile = join(dataDir, "runlayer.db");
  const lockFile = join(dataDir, "runlayer.lock");
  try {
    mkdirSync(dataDir, { recursive: true, mode: 0o700 });
    // SQLite gives its side files the mode of the database file.
    touchPrivate(databaseFile);
    return await SqliteThread.start({ databaseFile, lockFile });
  } catch (error) {
    if (error instanceof StatementError && error.code.startsWith("SQLITE_BUSY")) throw inUse(dataDir);
    throw new AppError("unavailable", `the database in \`${dataDir}\` cannot be opened: ${firstLine(error)}`, {
      cause: error,
    });
  }
}

/** Only makes the file: a descriptor of ours on a file that SQLite already has would drop its locks when closed. */
function touchPrivate(file: string): void {
  try {
    closeSync(openSync(file, "wx", 0o600));
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
  }
}

function inUse(dataDir: string): AppError {
  return new AppError(
    "unavailable",
    `another Runlayer has the data directory \`${dataDir}\`; stop it, or use another directory`,
  );
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? text;
}
