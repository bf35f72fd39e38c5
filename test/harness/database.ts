import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import Database from "better-sqlite3";

const TRIES_MAX = 1000;
const BETWEEN_TRIES_MS = 10;

/**
 * Runs statements in the database file beside the program that has it open, all or none, and gives how many rows each changed. It
 * waits between tries, never inside one: a transaction of the program in this process needs this thread to come to its end.
 */
export async function inDatabase(dataDir: string, ...statements: readonly string[]): Promise<readonly number[]> {
  const database = new Database(join(dataDir, "runlayer.db"), { timeout: 0 });
  try {
    for (let tries = 1; !begin(database, tries === TRIES_MAX); tries += 1) await sleep(BETWEEN_TRIES_MS);
    const changes = statements.map((statement) => database.prepare(statement).run().changes);
    database.exec("commit");
    return changes;
  } finally {
    database.close();
  }
}

/** False where another transaction is open, unless that is the last try. */
function begin(database: Database.Database, isLast: boolean): boolean {
  try {
    database.exec("begin immediate");
    return true;
  } catch (error) {
    if (isLast || !(error instanceof Database.SqliteError) || error.code !== "SQLITE_BUSY") throw error;
    return false;
  }
}
