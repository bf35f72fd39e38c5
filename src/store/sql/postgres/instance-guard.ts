import { type Kysely } from "kysely";
import { Client } from "pg";
import { AppError } from "../../../lib/errors.ts";
import { newId } from "../../../lib/ids.ts";
import type { Database } from "../schema.ts";

const CONNECT_MS_MAX = 10_000;
const OLDEST_SERVER = 150_000;

/** Key of the session lock that says that a Runlayer has this database; PostgreSQL keeps such locks per database. */
const INSTANCE_LOCK = 7_420_001;

/**
 * Keeps a second Runlayer off the database. A session lock, which ends with the process, stops a second start; the id that the
 * holder writes into the database fences off a holder whose session was lost while another one started.
 */
export class InstanceGuard {
  static readonly VALUE_NAME = "instance";
  readonly instanceId = newId();
  readonly #client: Client;

  private constructor(client: Client) {
    this.#client = client;
  }

  static async acquire(databaseUrl: string): Promise<InstanceGuard> {
    const client = new Client({
      connectionString: databaseUrl,
      connectionTimeoutMillis: CONNECT_MS_MAX,
      keepAlive: true,
      application_name: "runlayer instance guard",
    });
    // A lost session is not an error by itself: each write transaction proves by the id that nobody else took over.
    client.on("error", () => undefined);
    try {
      await client.connect();
      await assertVersion(client);
      await lock(client);
    } catch (error) {
      await client.end();
      throw error instanceof AppError ? error : unreachable(error);
    }
    return new InstanceGuard(client);
  }

  /** Marks the database as this process's own; MUST come before its first write. */
  async claim(db: Kysely<Database>): Promise<void> {
    const value = this.instanceId;
    await db
      .insertInto("installationValues")
      .values({ name: InstanceGuard.VALUE_NAME, value })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
      .execute();
  }

  async release(): Promise<void> {
    await this.#client.end();
  }
}

async function assertVersion(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>(
    "select current_setting('server_version_num')::int as version",
  );
  if ((rows[0]?.version ?? 0) >= OLDEST_SERVER) return;
  throw new AppError("unavailable", "the PostgreSQL server is older than version 15; use 15 or newer");
}

async function lock(client: Client): Promise<void> {
  const { rows } = await client.query<{ locked: boolean }>("select pg_try_advisory_lock($1) as locked", [
    INSTANCE_LOCK,
  ]);
  if (rows[0]?.locked === true) return;
  throw new AppError("unavailable", "another Runlayer has this PostgreSQL database; stop it, or use another database");
}

function unreachable(error: unknown): AppError {
  const why = error instanceof Error && error.message !== "" ? `: ${error.message.split("\n", 1)[0]}` : "";
  return new AppError("unavailable", `the PostgreSQL database cannot be reached${why}`, { cause: error });
}
