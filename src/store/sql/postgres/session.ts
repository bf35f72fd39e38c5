import type { PostgresCursor, PostgresPool, PostgresPoolClient, PostgresQueryResult } from "kysely";
import type { ClientBase, Pool } from "pg";

/** How long the other side may be silent, and how often it is asked then, before it counts as gone: 25 s in all. */
const PEER = { idleS: 10, intervalS: 5, count: 3, goneMs: 25_000 } as const;

/** No transaction of ours waits for anything but the database; one that idles for longer is of a process that hangs. */
const IDLE_IN_TRANSACTION_MS_MAX = 30_000;

/** Our side of each connection; Node asks every second from then on, and gives up after ten. */
export const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelayMillis: PEER.idleS * 1_000 } as const;

/**
 * Makes the server notice a host that lost its power or network, so that its locks end with it: by default that takes two hours.
 * By statements, because `options` may be the operator's, in the URL or the environment.
 */
export async function watchPeer(client: ClientBase): Promise<void> {
  const settings = {
    tcp_keepalives_idle: PEER.idleS,
    tcp_keepalives_interval: PEER.intervalS,
    tcp_keepalives_count: PEER.count,
    // Nobody is asked while an answer is on its way.
    tcp_user_timeout: PEER.goneMs,
    idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MS_MAX,
  };
  const statements = Object.entries(settings).map(([name, value]) => `set ${name} = ${value}`);
  await client.query(statements.join("; "));
}

/** The pool, except that a connection on which an answer did not come in time is closed instead of used again. */
export function droppingSilent(pool: Pool): PostgresPool {
  return {
    options: pool.options,
    connect: async () => new WatchedClient(await pool.connect()),
    end: () => pool.end(),
  };
}

class WatchedClient implements PostgresPoolClient {
  readonly #client: PostgresPoolClient;
  #silence: Error | undefined;

  constructor(client: PostgresPoolClient) {
    this.#client = client;
  }

  query<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>>;
  query<R>(cursor: PostgresCursor<R>): PostgresCursor<R>;
  query<R>(
    text: string | PostgresCursor<R>,
    parameters: readonly unknown[] = [],
  ): Promise<PostgresQueryResult<R>> | PostgresCursor<R> {
    return typeof text === "string" ? this.#ask(text, parameters) : this.#client.query(text);
  }

  release(destroy = false): void {
    this.#client.release(destroy || this.#silence !== undefined);
  }

  async #ask<R>(sql: string, parameters: readonly unknown[]): Promise<PostgresQueryResult<R>> {
    // A rollback would only wait behind what is not answered.
    if (this.#silence !== undefined) throw this.#silence;
    try {
      return await this.#client.query<R>(sql, parameters);
    } catch (error) {
      if (error instanceof Error && error.message === "Query read timeout") this.#silence = error;
      throw error;
    }
  }
}
