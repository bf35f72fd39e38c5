import type { Kysely, Transaction } from "kysely";
import { AppError } from "../../lib/errors.ts";
import type { Change, Repositories, Store } from "../ports.ts";
import type { Dialect } from "./migrations.ts";
import type { PlaceEvents } from "./repositories/context.ts";
import { createRepositories } from "./repositories/repositories.ts";
import type { Database } from "./schema.ts";
import { toStoreError } from "./to-store-error.ts";
import { OWN_READS_MAX } from "./own-reads.ts";
import { stopOnAbort } from "./stop-on-abort.ts";
import { TurnQueue } from "./turn-queue.ts";

// More writers than this means that the database is far behind: waiting would only hide it.
const WRITERS = {
  turns: 1,
  waitingMax: 2_000,
  waitMsMax: 15_000,
  refusal: "the database has too many changes to write at the moment; try again",
} as const;

const OWN_READS = {
  turns: OWN_READS_MAX,
  waitingMax: 2_000,
  waitMsMax: 15_000,
  refusal: "the database is too slow at the moment; try again",
} as const;

// A page of the dashboard asks for a handful; who waits behind more than this is better told at once.
const CALLERS_READS = {
  waitingMax: 200,
  waitMsMax: 15_000,
  refusal:
    "too many searches and lists wait for the database at the moment; try again, with a narrower filter if it has one",
} as const;

/** What differs between the databases. */
export interface SqlBackend {
  readonly dialect: Dialect;
  readonly writer: Kysely<Database>;
  /** For what the program itself has to know. Its transactions see one state of the database and cannot write. */
  readonly reader: Kysely<Database>;
  /** As `reader`, for what callers ask for: however long it takes, neither `writer` nor `reader` MAY wait for it. */
  readonly callersReader: Kysely<Database>;
  /** How many transactions `callersReader` runs at once. */
  readonly callersReadsMax: number;
  /** Runs once, on the migrated schema. */
  start(): Promise<void>;
  /** Runs first in each write transaction: proves that this process may write and that it is alone. */
  enterTransaction(db: Transaction<Database>): Promise<void>;
  readonly placeEvents: PlaceEvents;
  /** MUST NOT wait for a transaction that is under way, nor for what callers read. */
  ping(): Promise<void>;
  /** Ends its connections, also those that were never made or could not be. */
  close(): Promise<void>;
}

/** By kind and id. */
type Changes = Map<string, Change>;

type Listener = (changes: readonly Change[]) => Promise<void>;

/** The store on an SQL database: turns for writers, a snapshot for readers, and the news for listeners in commit order. */
export class SqlStore implements Store {
  readonly dialect: Dialect;
  readonly #backend: SqlBackend;
  readonly #turns = new TurnQueue(WRITERS);
  readonly #ownReads = new TurnQueue(OWN_READS);
  readonly #callersReads: TurnQueue;
  readonly #listeners: Listener[] = [];
  /** The news of the last commit; the next commit's listeners wait for it. */
  #news: Promise<void> = Promise.resolve();
  /** What commits touched of which nobody knows yet whether they took place. */
  readonly #unsettled: Changes = new Map();
  #ping: Promise<void> | undefined;
  #isClosed = false;

  constructor(backend: SqlBackend) {
    this.#backend = backend;
    this.#callersReads = new TurnQueue({ ...CALLERS_READS, turns: backend.callersReadsMax });
    this.dialect = backend.dialect;
  }

  async read<T>(work: (repositories: Repositories) => Promise<T>): Promise<T> {
    this.#assertOpen();
    return this.#ownReads.take(() => this.#readWith(this.#backend.reader, (db) => work(this.#toReading(db))));
  }

  async readForCaller<T>(work: (repositories: Repositories) => Promise<T>, signal: AbortSignal): Promise<T> {
    this.#assertOpen();
    const plugin = stopOnAbort(signal);
    return this.#callersReads.take(
      () => this.#readWith(this.#backend.callersReader, (db) => work(this.#toReading(db.withPlugin(plugin)))),
      { signal },
    );
  }

  async transaction<T>(work: (repositories: Repositories) => Promise<T>, turn?: "next"): Promise<T> {
    this.#assertOpen();
    const changes: Changes = new Map();
    let news = Promise.resolve();
    try {
      const answer = await this.#turns.take(
        async () => {
          try {
            return await guarded(() => this.#write(work, changes));
          } finally {
            // Still in this writer's turn: the order of the news is the order of the commits.
            news = this.#announce([...changes.values()]);
          }
        },
        { isNext: turn === "next" },
      );
      await news;
      return answer;
    } catch (error) {
      // Whatever became of a commit, nobody is answered before the view is current. What failed first is what the caller hears of.
      await news.catch(() => undefined);
      throw error;
    }
  }

  onCommitted(listener: Listener): void {
    this.#listeners.push(listener);
  }

  async ping(): Promise<void> {
    this.#assertOpen();
    // Whoever asks meanwhile shares the answer: this is open to everybody who reaches `/readyz`.
    this.#ping ??= guarded(() => this.#backend.ping()).finally(() => {
      this.#ping = undefined;
    });
    await this.#ping;
  }

  /** Refuses new work, lets what waits finish, then closes the database. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#turns.drained();
    await this.#news;
    await this.#backend.close();
  }

  #readWith<T>(reader: Kysely<Database>, work: (db: Transaction<Database>) => Promise<T>): Promise<T> {
    // It may have waited for its turn.
    this.#assertOpen();
    const transaction = reader.transaction();
    if (this.dialect === "sqlite") return guarded(() => transaction.execute(work));
    return guarded(() => transaction.setAccessMode("read only").setIsolationLevel("repeatable read").execute(work));
  }

  /** Leaves in `changes` what may have been committed. */
  async #write<T>(work: (repositories: Repositories) => Promise<T>, changes: Changes): Promise<T> {
    const { placeEvents, writer } = this.#backend;
    const touch = (change: Change) => void changes.set(`${change.kind} ${change.id}`, change);
    let isCommitting = false;
    try {
      const answer = await writer.transaction().execute(async (db) => {
        await this.#backend.enterTransaction(db);
        const worked = await work(createRepositories({ db, placeEvents, touch }));
        isCommitting = true;
        return worked;
      });
      for (const [key, change] of this.#unsettled) changes.set(key, change);
      this.#unsettled.clear();
      return answer;
    } catch (error) {
      if (isCommitting) await this.#settle(changes);
      else changes.clear();
      throw error;
    }
  }

  /**
   * A commit failed, which says nothing of whether it took place: only its answer may be lost. The database is through with it when
   * it lets the next writer in; where that fails too, what it touched is announced again with the next commit.
   */
  async #settle(changes: Changes): Promise<void> {
    try {
      await this.#backend.writer.transaction().execute((db) => this.#backend.enterTransaction(db));
    } catch {
      for (const [key, change] of changes) this.#unsettled.set(key, change);
    }
  }

  #toReading(db: Transaction<Database>): Repositories {
    return createRepositories({ db, placeEvents: this.#backend.placeEvents, touch: refuseWrite });
  }

  #announce(changes: readonly Change[]): Promise<void> {
    if (changes.length === 0 || this.#listeners.length === 0) return Promise.resolve();
    const turn = this.#news.then(() => this.#tell(changes));
    // A later transaction waits for this news but does not fail with it.
    this.#news = turn.catch(() => undefined);
    return turn;
  }

  /** Each listener in its turn, also after one that failed; then rejects with the first failure. */
  async #tell(changes: readonly Change[]): Promise<void> {
    const failures: unknown[] = [];
    for (const listener of this.#listeners) {
      await listener(changes).catch((error: unknown) => failures.push(error));
    }
    if (failures.length > 0) throw failures[0];
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
