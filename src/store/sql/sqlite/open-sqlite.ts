import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import { CamelCasePlugin, CompiledQuery, Kysely, sql, type Transaction } from "kysely";
import { AppError } from "../../../lib/errors.ts";
import { makeFolder } from "../../../lib/make-folder.ts";
import type { SqlBackend } from "../sql-store.ts";
import { AUDIT_COLUMNS } from "../repositories/audit-row.ts";
import type { Database } from "../schema.ts";
import { StatementError } from "../statement-error.ts";
import { OWN_READS_MAX } from "../own-reads.ts";
import { CALLERS_READERS, type Statement, type WorkerSettings } from "./protocol.ts";
import { sqliteDialect } from "./sqlite-driver.ts";
import { SqliteThread } from "./sqlite-thread.ts";

const PING: Statement = { sql: "select 1", parameters: [] };

/**
 * Opens `runlayer.db` in the data directory, which is made if it does not exist. Throws `conflict` when another
 * process has the directory, `unavailable` when the file cannot be opened, `invalid_input` when it is no folder. The thread that reads for callers
 * starts with their first search or list: a process that only serves agents does without its 10 MB.
 */
export async function openSqlite(dataDir: string): Promise<SqlBackend> {
  const writing = await startWriting(dataDir);
  let reading: SqliteThread | undefined;
  let starting: Promise<unknown> = Promise.resolve();
  const startReading = (): Promise<SqliteThread> => {
    const started = startThread(dataDir, {}).then((thread) => (reading = thread));
    // Whoever asked hears of a failure; a thread that does not start needs no stop.
    starting = started.catch(() => undefined);
    return started;
  };
  const startedWriting = (): Promise<SqliteThread> => Promise.resolve(writing);
  const plugins = [new CamelCasePlugin()];
  // IMMEDIATE takes the write lock at once: a transaction that only later finds it cannot write would have to be repeated.
  const writer = sqliteDialect(startedWriting, { first: 0, count: 1, begin: "begin immediate" });
  const reader = sqliteDialect(startedWriting, { first: 1, count: OWN_READS_MAX, begin: "begin" });
  const callersReader = sqliteDialect(startReading, { first: 0, count: CALLERS_READERS, begin: "begin" });
  return {
    dialect: "sqlite",
    writer: new Kysely<Database>({ dialect: writer, plugins }),
    reader: new Kysely<Database>({ dialect: reader, plugins }),
    callersReader: new Kysely<Database>({ dialect: callersReader, plugins }),
    callersReadsMax: CALLERS_READERS,
    start: () => Promise.resolve(),
    enterTransaction: () => Promise.resolve(),
    placeEvents: insertPlaced,
    async ping() {
      reading?.assertRuns();
      await writing.run(0, [PING]);
    },
    async close() {
      await starting;
      // The last connection to close takes the write-ahead log away, and a reader may not.
      await reading?.stop();
      await writing.stop();
    },
  };
}

/** Built once: building it for each batch costs the thread that serves agents a microsecond of each call. */
let placingText: string | undefined;

/** The worker makes the rows itself (`placedEvents`): leaves and columns cost the thread that serves agents nothing. */
async function insertPlaced(db: Transaction<Database>, lines: string, firstSeq: number): Promise<void> {
  placingText ??= placing(lines, firstSeq).compile(db).sql;
  await db.executeQuery(CompiledQuery.raw(placingText, [lines, firstSeq]));
}

function placing(lines: string, firstSeq: number) {
  const columns = sql.join(AUDIT_COLUMNS.map((column) => sql.ref(column)));
  const rows = sql`select * from placed_events(${lines}, ${firstSeq})`;
  return sql`insert into ${sql.table("auditEvents")} (${columns}) ${rows}`;
}

/** The database of a data directory. */
export function databaseFile(dataDir: string): string {
  return join(dataDir, "runlayer.db");
}

async function startWriting(dataDir: string): Promise<SqliteThread> {
  try {
    makeFolder(dataDir, 0o700);
    // SQLite gives its side files the mode of the database file.
    touchPrivate(databaseFile(dataDir));
  } catch (error) {
    if (error instanceof AppError) throw new AppError(error.code, `${error.message}; set RUNLAYER_DATA_DIR to one`);
    throw cannotOpen(dataDir, error);
  }
  return startThread(dataDir, { lockFile: join(dataDir, "runlayer.lock") });
}

async function startThread(dataDir: string, settings: Pick<WorkerSettings, "lockFile">): Promise<SqliteThread> {
  try {
    return await SqliteThread.start({ databaseFile: databaseFile(dataDir), ...settings });
  } catch (error) {
    throw cannotOpen(dataDir, error);
  }
}

const ADVICE: readonly (readonly [RegExp, string])[] = [
  [/^SQLITE_READONLY/, "this account must be able to write all files there"],
  [/^SQLITE_(?:NOTADB|CORRUPT)/, "restore the folder from a backup, or set RUNLAYER_DATA_DIR to another one"],
];

function cannotOpen(dataDir: string, cause: unknown): AppError {
  if (cause instanceof AppError) return cause;
  const code = cause instanceof StatementError ? cause.code : "";
  if (code.startsWith("SQLITE_BUSY")) return inUse(dataDir);
  const advice =
    ADVICE.find(([reason]) => reason.test(code))?.[1] ??
    "set RUNLAYER_DATA_DIR to a folder that this account may write";
  const message = `the database in \`${dataDir}\` cannot be opened: ${firstLine(cause)}; ${advice}`;
  return new AppError("unavailable", message, { cause });
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
    "conflict",
    `another Runlayer has the data directory \`${dataDir}\`; stop it, or use another directory`,
  );
}

function firstLine(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split("\n", 1)[0] ?? text;
}
