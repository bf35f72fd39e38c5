import type { Kysely, Transaction } from "kysely";
import { AppError } from "../../lib/errors.ts";
import type { Change, Repositories, Store } from "../ports.ts";
import type { Dialect } from "./migrations.ts";
import type { PlaceEvents } from "./repositories/context.ts";
import { createRepositories } from "./repositories/repositories.ts";
import type { Database } from "./schema.ts";
import { toStoreError } from "./to-store-error.ts";
import { TurnQueue } from "./turn-queue.ts";

/** What differs between the databases. */
export interface SqlBackend {
  readonly dialect: Dialect;
  readonly writer: Kysely<Database>;
  /** Its transactions see one state of the database and cannot write. */
  readonly reader: Kysely<Database>;
  /** Runs once, on the migrated schema. */
  start(): Promise<void>;
  /** Runs first in each write transaction: proves that this process may write and that it is alone. */
  enterTransaction(db: Transaction<Database>): Promise<void>;
  readonly placeEvents: PlaceEvents;
  /** MUST NOT wait for a transaction that is under way. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

type Listener = (changes: readonly Change[]) => Promise<void>;

/** The store on an SQL database: turns for writers, a snapshot for readers, and the news for listeners in commit order. */
export class SqlStore implements Store {
  readonly dialect: Dialect;
  readonly #backend: SqlBackend;
  readonly #turns = new TurnQueue();
  readonly #listeners: Listener[] = [];
  /** The news of the last commit; the next commit's listeners wait for it. */
  #news: Promise<void> = Promise.resolve();
  #isClosed = false;

  constructor(backend: SqlBackend) {
    this.#backend = backend;
    this.dialect = backend.dialect;
  }

  async read<T>(work: (repositories: Repositories) => Promise<T>): Promise<T> {
    this.#assertOpen();
    const { placeEvents } = this.#backend;
    return guarded(() =>
      this.#readTransaction().execute((db) => work(createRepositories({ db, placeEvents, touch: refuseWrite }))),
    );
  }

  async transaction<T>(work: (repositories: Repositories) => Promise<T>): Promise<T> {
    this.#assertOpen();
    const { placeEvents } = this.#backend;
    let news = Promise.resolve();
    const result = await this.#turns.take(() =>
      guarded(async () => {
        const changes = new Map<string, Change>();
        const touch = (change: Change) => void changes.set(`${change.kind} ${change.id}`, change);
        const answer = await this.#backend.writer.transaction().execute(async (db) => {
          await this.#backend.enterTransaction(db);
          return work(createRepositories({ db, placeEvents, touch }));
        });
        // Still in this writer's turn: the order of the news is the order of the commits.
        news = this.#announce([...changes.values()]);
        return answer;
      }),
    );
    await news;
    return result;
  }

  onCommitted(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async ping(): Promise<void> {
    this.#assertOpen();
    await guarded(() => this.#backend.ping());
  }

  /** Refuses new work, lets what waits finish, then closes the database. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#turns.drained();
    await this.#news;
    await this.#backend.writer.destroy();
    await this.#backend.reader.destroy();
    await this.#backend.close();
  }

  #readTransaction() {
    const transaction = this.#backend.reader.transaction();
    if (this.dialect === "sqlite") return transaction;
    return transaction.setAccessMode("read only").setIsolationLevel("repeatable read");
  }

  #announce(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0 || this.#listeners.length === 0) return Promise.resolve();
    const turn = this.#news.then(async () => {
      for (const listener of this.#listeners) await listener(changes);
    });
    // A later transaction waits for this news but does not fail with it.
    this.#news = turn.catch(() => undefined);
    return turn;
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new AppError("unavailable", "the database is closed");
  }
}

async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw toStoreError(error);
  }
}

function refuseWrite(): never {
  throw new Error("invariant violated: a read does not write");
}
