import { statSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import SqliteDatabase from "better-sqlite3";
import { collectGarbage } from "../../../lib/collect-garbage.ts";
import { assert } from "../../../lib/assert.ts";
import { OWN_READS_MAX } from "../own-reads.ts";
import {
  CALLERS_READERS,
  type Statement,
  type StatementResult,
  type StatementsRequest,
  type WorkerReply,
  type WorkerRequest,
  type WorkerSettings,
} from "./protocol.ts";

/*
 * SQLite's calls block, so they are made here, where nobody else waits for an fsync. One worker writes, and reads what the program
 * itself has to know; another one reads for callers. Each connection that reads sees its own snapshot of the write-ahead log, and a
 * long search delays neither a commit nor the view that follows it.
 */

const settings: WorkerSettings = workerData;
// A statement is compiled once. The program has some hundred texts; past that a list filter made up new ones.
const CACHED_STATEMENTS_MAX = 500;

/** By then most starts are over. */
const SETTLED_MS = 1_000;

/** Beyond this the write-ahead log is shortened; undisturbed it takes 16 MB (1 000 pages). */
const LOG_BYTES_MAX = 48 * 1024 * 1024;
/** Who shortens it holds up the writer for no longer. */
const CHECKPOINT_WAIT_MS = 50;
/** 16 MB. */
const PAGES_LEFT_MAX = 1_000;
/** Where another process reads an old state of the file, as a backup does, it cannot be shortened: another try comes later. */
const CHECKPOINT_PAUSE_MS = 5_000;

type PreparedStatement = SqliteDatabase.Statement<unknown[], never>;

interface Connection {
  readonly database: SqliteDatabase.Database;
  readonly statements: Map<string, PreparedStatement>;
}

const port = parentPort;
assert(port !== null, "the SQLite worker runs in a worker thread");
const reply = (message: WorkerReply): void => port.postMessage(message);
/** Of the worker that reads for callers: its other connections cannot write. */
let checkpointer: SqliteDatabase.Database | undefined;
let nextShorteningAt = 0;
const opened = await openAll();
if (opened !== undefined) {
  port.on("message", (request: WorkerRequest) => {
    if (request.kind === "stop") return stop();
    answer(request, opened.connections);
    if (settings.lockFile === undefined) shortenLog(opened.connections);
  });
  reply({ kind: "ready" });
  // Kept now, because a process that is killed could not do it at its end.
  flushCompileCache();
  // Later: it keeps a start waiting, and who closes soon has nothing from it.
  setTimeout(collectGarbage, SETTLED_MS).unref();
}

interface Opened {
  readonly lock?: SqliteDatabase.Database;
  readonly connections: readonly Connection[];
}

async function openAll(): Promise<Opened | undefined> {
  try {
    if (settings.lockFile === undefined) return { connections: Array.from({ length: CALLERS_READERS }, openReader) };
    const lock = holdLock(settings.lockFile);
    const writer = await openWriter();
    return { lock, connections: [writer, ...Array.from({ length: OWN_READS_MAX }, openReader)] };
  } catch (error) {
    reply({ kind: "refused", ...describe(error) });
    return undefined;
  }
}

/** The kernel drops the lock with the process, however it dies, so that it cannot go stale. */
function holdLock(file: string): SqliteDatabase.Database {
  const lock = new SqliteDatabase(file, { timeout: 0 });
  try {
    lock.exec("BEGIN EXCLUSIVE");
  } catch (error) {
    lock.close();
    throw error;
  }
  return lock;
}

async function openWriter(): Promise<Connection> {
  const database = new SqliteDatabase(settings.databaseFile, { timeout: 5000 });
  // Of a new file: a row of the log is a kilobyte or two, and small pages are written, moved and checkpointed one by one.
  database.pragma("page_size = 16384");
  database.pragma("journal_mode = WAL");
  // FULL: a commit is on the disk before it is answered; NORMAL would lose the last ones with the power.
  database.pragma("synchronous = FULL");
  database.pragma("foreign_keys = ON");
  // A file that this account may only read opens as well, and begins what it takes for a write: nothing could be recorded then, and
  // nobody be stopped.
  database.exec("BEGIN IMMEDIATE; PRAGMA user_version = 1; ROLLBACK");
  // The readers do without what makes the rows of the log.
  const { definePlacedEvents } = await import("./placed-events.ts");
  definePlacedEvents(database);
  return { database, statements: new Map() };
}

function openReader(): Connection {
  return {
    database: new SqliteDatabase(settings.databaseFile, { timeout: 5000, readonly: true }),
    statements: new Map(),
  };
}

/**
 * Callers that search without a pause would let the write-ahead log grow for as long as they do: SQLite begins it anew only when nobody
 * reads what it holds. Here, between two of their reads, is a moment in which none does.
 */
function shortenLog(connections: readonly Connection[]): void {
  if (performance.now() < nextShorteningAt || connections.some(({ database }) => database.inTransaction)) return;
  const log = statSync(`${settings.databaseFile}-wal`, { throwIfNoEntry: false });
  if (log === undefined || log.size <= LOG_BYTES_MAX) return;
  nextShorteningAt = performance.now() + CHECKPOINT_PAUSE_MS;
  try {
    checkpointer ??= new SqliteDatabase(settings.databaseFile, { timeout: CHECKPOINT_WAIT_MS });
    // Copies without a lock that the writer needs, so that little is left for the next, which has it.
    const { log, checkpointed } = checkpoint(checkpointer, "PASSIVE");
    if (log - checkpointed > PAGES_LEFT_MAX) return;
    const { busy } = checkpoint(checkpointer, "TRUNCATE");
    nextShorteningAt = busy === 0 ? 0 : performance.now() + CHECKPOINT_WAIT_MS;
  } catch {
    // What is wrong with the disk the writer meets as well, and says.
  }
}

interface Checkpoint {
  readonly busy: number;
  /** Pages. */
  readonly log: number;
  readonly checkpointed: number;
}

function checkpoint(database: SqliteDatabase.Database, mode: "PASSIVE" | "TRUNCATE"): Checkpoint {
  const row = database.prepare<[], Checkpoint>(`PRAGMA wal_checkpoint(${mode})`).get();
  assert(row !== undefined, "a checkpoint says what it did");
  return row;
}

/** The lock outlives the connections, and the writer those that read: the last one takes the write-ahead log away. */
function stop(): void {
  checkpointer?.close();
  for (const { database } of opened?.connections.toReversed() ?? []) database.close();
  opened?.lock?.close();
  port?.close();
}

function answer(request: StatementsRequest, all: readonly Connection[]): void {
  try {
    const connection = all[request.connection];
    assert(connection !== undefined, "the connection exists");
    const results = request.statements.map((statement) => run(connection, statement));
    reply({ kind: "done", id: request.id, results });
  } catch (error) {
    reply({ kind: "failed", id: request.id, ...describe(error) });
  }
}

function run(connection: Connection, { sql, parameters }: Statement): StatementResult {
  const statement = prepared(connection, sql);
  if (!statement.reader) return { rows: [], changes: statement.run(parameters).changes };
  return { rows: statement.all(parameters), changes: 0 };
}

function prepared({ database, statements }: Connection, sql: string): PreparedStatement {
  const known = statements.get(sql);
  if (known !== undefined) return known;
  const fresh = database.prepare<unknown[], never>(sql);
  const [oldest] = statements.keys();
  if (statements.size >= CACHED_STATEMENTS_MAX && oldest !== undefined) statements.delete(oldest);
  statements.set(sql, fresh);
  return fresh;
}

function describe(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof SqliteDatabase.SqliteError) return { code: error.code, message: error.message };
  return { code: "ERROR", message: error instanceof Error ? error.message : String(error) };
}
