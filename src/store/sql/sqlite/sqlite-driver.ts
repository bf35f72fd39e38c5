import {
  type CompiledQuery,
  type DatabaseConnection,
  type Dialect,
  type Driver,
  type QueryResult,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import { StatementError } from "../statement-error.ts";
import type { ConnectionIndex, Statement } from "./protocol.ts";
import type { SqliteThread } from "./sqlite-thread.ts";

interface Connections {
  /** The first of the worker's that is one of them. */
  readonly first: ConnectionIndex;
  readonly count: number;
  /** How a transaction on one of them begins. */
  readonly begin: string;
}

/** Kysely's view of a worker's connections, of which it asks `start` at the first use. Who asks for one while all are taken waits. */
export function sqliteDialect(start: () => Promise<SqliteThread>, connections: Connections): Dialect {
  return {
    createAdapter: () => new ConnectionsAdapter(),
    createDriver: () => new ThreadDriver(start, connections),
    createIntrospector: (db) => new SqliteIntrospector(db),
    createQueryCompiler: () => new SqliteQueryCompiler(),
  };
}

class ConnectionsAdapter extends SqliteAdapter {
  override get supportsMultipleConnections(): boolean {
    return true;
  }
}

class ThreadDriver implements Driver {
  readonly #start: () => Promise<SqliteThread>;
  readonly #connections: Connections;
  #free: ThreadConnection[] = [];
  readonly #waiting: ((connection: ThreadConnection) => void)[] = [];

  constructor(start: () => Promise<SqliteThread>, connections: Connections) {
    this.#start = start;
    this.#connections = connections;
  }

  /** Kysely waits for it before the first connection is asked for, and tries again after a failure. */
  async init(): Promise<void> {
    const { first, count } = this.#connections;
    const thread = await this.#start();
    this.#free = Array.from({ length: count }, (_, index) => new ThreadConnection(thread, first + index));
  }

  acquireConnection(): Promise<ThreadConnection> {
    const free = this.#free.pop();
    if (free !== undefined) return Promise.resolve(free);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  async beginTransaction(connection: ThreadConnection): Promise<void> {
    connection.begin(this.#connections.begin);
  }

  async commitTransaction(connection: ThreadConnection): Promise<void> {
    await connection.commit();
  }

  async rollbackTransaction(connection: ThreadConnection): Promise<void> {
    await connection.rollback();
  }

  async releaseConnection(connection: ThreadConnection): Promise<void> {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(connection);
    else next(connection);
  }

  async destroy(): Promise<void> {}
}

type TransactionState = "none" | "announced" | "open" | "failed";

class ThreadConnection implements DatabaseConnection {
  readonly #thread: SqliteThread;
  readonly #index: ConnectionIndex;
  #state: TransactionState = "none";
  #begin = "";

  constructor(thread: SqliteThread, index: ConnectionIndex) {
    this.#thread = thread;
    this.#index = index;
  }

  /** BEGIN travels with the first statement, which saves a round trip. */
  begin(statement: string): void {
    this.#begin = statement;
    this.#state = "announced";
  }

  /** A transaction in which a statement failed never commits, as PostgreSQL has it. */
  async commit(): Promise<void> {
    if (this.#state === "failed") throw new Error("a statement of this transaction failed, so it cannot commit");
    const isOpen = this.#state === "open";
    if (isOpen) await this.#thread.run(this.#index, [{ sql: "commit", parameters: [] }]);
    this.#state = "none";
  }

  async rollback(): Promise<void> {
    const isOpen = this.#state === "open" || this.#state === "failed";
    this.#state = "none";
    // SQLite itself rolls back on some errors (a full disk), and a second ROLLBACK would be an error that hides the first.
    if (isOpen) await this.#thread.run(this.#index, [{ sql: "rollback", parameters: [] }]).catch(ignoreNoTransaction);
  }

  async executeQuery<Row>(query: CompiledQuery): Promise<QueryResult<Row>> {
    const statements: Statement[] = [{ sql: query.sql, parameters: query.parameters }];
    if (this.#state === "announced") statements.unshift({ sql: this.#begin, parameters: [] });
    if (this.#state !== "none") this.#state = "open";
    try {
      const results = await this.#thread.run(this.#index, statements);
      const last = results.at(-1);
      return { rows: last?.rows ?? [], numAffectedRows: BigInt(last?.changes ?? 0) };
    } catch (error) {
      if (this.#state === "open") this.#state = "failed";
      throw error;
    }
  }

  streamQuery<Row>(): AsyncIterableIterator<QueryResult<Row>> {
    throw new Error("the SQLite driver does not stream; read pages instead");
  }
}

function ignoreNoTransaction(error: unknown): void {
  if (error instanceof StatementError && error.message.includes("no transaction is active")) return;
  throw error;
}
