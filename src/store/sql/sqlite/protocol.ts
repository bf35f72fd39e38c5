/** The main thread and a SQLite worker talk in these messages only. */

/** Which of the worker's connections a message is for, from 0. */
export type ConnectionIndex = number;

/**
 * Connections of the worker that reads for callers. More would share its one thread and be no faster, and reads that always overlap leave
 * no moment in which the write-ahead log can begin anew.
 */
export const CALLERS_READERS = 1;

export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
}

/** Statements run in order; the first that fails ends the message. One message is one round trip. */
export interface StatementsRequest {
  readonly kind: "run";
  readonly id: number;
  readonly connection: ConnectionIndex;
  readonly statements: readonly Statement[];
}

/** `stop` closes the files and ends the worker. */
export type WorkerRequest = StatementsRequest | { readonly kind: "stop" };

export interface StatementResult {
  /** Typed by the query that asked: `never` here, so that nobody reads them on the way. */
  readonly rows: never[];
  readonly changes: number;
}

export type WorkerReply =
  | { readonly kind: "ready" }
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  | { readonly kind: "done"; readonly id: number; readonly results: readonly StatementResult[] }
  | { readonly kind: "failed"; readonly id: number; readonly code: string; readonly message: string };

export interface WorkerSettings {
  readonly databaseFile: string;
  /**
   * A database of its own whose exclusive lock says that this process has the data directory. The worker that is given it holds
   * the one connection that writes, as its first, and those that read for the program itself; a worker without it reads for callers.
   */
  readonly lockFile?: string | undefined;
}
