import { setTimeout as sleep } from "node:timers/promises";
import type { Kysely } from "kysely";
import { Client } from "pg";
import { AppError } from "../../../lib/errors.ts";
import { newId } from "../../../lib/ids.ts";
import type { Database } from "../schema.ts";
import { KEEP_ALIVE, watchPeer } from "./session.ts";
import type { Sockets } from "./sockets.ts";

const CONNECT_MS_MAX = 10_000;
/** Longer than a server takes to notice that a process has ended; a start that a person waits for is not held up for more. */
const LOCK_MS_MAX = 5_000;
const LOCK_RETRY_MS = 250;

const OLDEST_SERVER = 150_000;

/** Those that hold every text; the second one keeps the bytes as they are sent, which is UTF-8. */
const ENCODINGS = ["UTF8", "SQL_ASCII"];

/** Key of the session lock that says that a Runlayer has this database; PostgreSQL keeps such locks per database. */
const INSTANCE_LOCK = 7_420_001;

const TAKEN = "another Runlayer has this PostgreSQL database; stop it, or use another database";

/** The stored value that names the process that has the database. */
const VALUE_NAME = "instance";

/**
 * Keeps a second Runlayer off the database. A session lock, which ends with the process, stops a second start; the id that the
 * holder writes into the database fences off a holder whose session was lost while another one started.
 */
export class InstanceGuard {
  readonly #databaseUrl: string;
  readonly #sockets: Sockets;
  readonly #instanceId = newId();
  #client: Client | undefined;

  private constructor(databaseUrl: string, sockets: Sockets) {
    this.#databaseUrl = databaseUrl;
    this.#sockets = sockets;
  }

  /** Waits some seconds for a process that is about to end; throws `conflict` where it does not. */
  static async acquire(databaseUrl: string, sockets: Sockets): Promise<InstanceGuard> {
    const guard = new InstanceGuard(databaseUrl, sockets);
    if (await guard.#connect(LOCK_MS_MAX)) return guard;
    throw new AppError("conflict", TAKEN);
  }

  /** Takes the lock again if its session was lost; throws `unavailable` when another process has it. */
  async hold(): Promise<void> {
    if (this.#client === undefined && !(await this.#connect(0))) throw new AppError("unavailable", TAKEN);
  }

  /** False where another process has the database. */
  async #connect(lockMsMax: number): Promise<boolean> {
    const client = createClient(this.#databaseUrl, this.#sockets);
    const forget = (): void => void (this.#client = this.#client === client ? undefined : this.#client);
    client.on("error", forget);
    client.on("end", forget);
    try {
      await client.connect();
      await assertUsable(client);
      await watchPeer(client);
      const isLocked = await lock(client, performance.now() + lockMsMax);
      if (isLocked) this.#client = client;
      else await client.end();
      return isLocked;
    } catch (error) {
      await client.end();
      throw error instanceof AppError ? error : unreachable(error);
    }
  }

  /** Marks the database as this process's own; MUST come before its first write. */
  async claim(db: Kysely<Database>): Promise<void> {
    const value = this.#instanceId;
    await db
      .insertInto("installationValues")
      .values({ name: VALUE_NAME, value })
      .onConflict((conflict) => conflict.column("name").doUpdateSet({ value }))
      .execute();
  }

  /** Throws `unavailable` when another process has marked the database since. */
  async assertOwned(db: Kysely<Database>): Promise<void> {
    const owner = await db
      .selectFrom("installationValues")
      .select("value")
      .where("name", "=", VALUE_NAME)
      .executeTakeFirst();
    if (owner?.value === this.#instanceId) return;
    throw new AppError("unavailable", "another Runlayer has taken this database; stop one of the two, then restart");
  }

  async release(): Promise<void> {
    await this.#client?.end();
  }
}

/** Throws `invalid_input` where the URL, or a file that it names, cannot be read. */
function createClient(databaseUrl: string, sockets: Sockets): Client {
  try {
    return new Client({
      ...KEEP_ALIVE,
      stream: sockets.create,
      connectionString: databaseUrl,
      connectionTimeoutMillis: CONNECT_MS_MAX,
      query_timeout: CONNECT_MS_MAX,
      application_name: "runlayer instance guard",
    });
  } catch (error) {
    throw new AppError("invalid_input", `RUNLAYER_DATABASE_URL: cannot be used${firstLineOf(error)}`, { cause: error });
  }
}

async function assertUsable(client: Client): Promise<void> {
  const { rows } = await client.query<{ version: number; encoding: string }>(
    "select current_setting('server_version_num')::int as version, current_setting('server_encoding') as encoding",
  );
  const { version = 0, encoding = "" } = rows[0] ?? {};
  if (version < OLDEST_SERVER) {
    throw new AppError("unavailable", "the PostgreSQL server is older than version 15; use 15 or newer");
  }
  if (ENCODINGS.includes(encoding)) return;
  const create = "create database runlayer encoding 'UTF8' template template0";
  throw new AppError(
    "unavailable",
    `the PostgreSQL database has the encoding ${encoding}, which cannot hold every text; make one that can: ${create}`,
  );
}

async function lock(client: Client, until: number): Promise<boolean> {
  for (;;) {
    const { rows } = await client.query<{ locked: boolean }>("select pg_try_advisory_lock($1) as locked", [
      INSTANCE_LOCK,
    ]);
    if (rows[0]?.locked === true) return true;
    if (performance.now() >= until) return false;
    await sleep(LOCK_RETRY_MS);
  }
}

function unreachable(error: unknown): AppError {
  return new AppError(
    "unavailable",
    `RUNLAYER_DATABASE_URL: the PostgreSQL database cannot be reached${firstLineOf(error)}; check the server, the address and the account, as in postgres://user:password@host:5432/runlayer`,
    {
      cause: error,
    },
  );
}

function firstLineOf(error: unknown): string {
  return error instanceof Error && error.message !== "" ? `: ${error.message.split("\n", 1)[0]}` : "";
}
