import { CamelCasePlugin, Kysely, PostgresDialect, type Transaction, sql } from "kysely";
import { Pool, type PoolConfig, types } from "pg";
import { placeEvents } from "../../../domain/place-event.ts";
import { insertAuditRows } from "../repositories/audit-inserts.ts";
import { toAuditRow } from "../repositories/audit-row.ts";
import { OWN_READS_MAX } from "../own-reads.ts";
import type { Database } from "../schema.ts";
import type { SqlBackend } from "../sql-store.ts";
import { InstanceGuard } from "./instance-guard.ts";
import { droppingSilent, KEEP_ALIVE, watchPeer } from "./session.ts";
import { Sockets } from "./sockets.ts";

/** One for the writer, one for the ping, the others for what the program itself reads; the guard has its own. */
const OWN_CONNECTIONS_MAX = 2 + OWN_READS_MAX;

/** In a pool of their own: what callers read takes no connection from the writer, or agents would wait for searches. */
const CALLERS_CONNECTIONS_MAX = 4;
const CONNECT_MS_MAX = 10_000;

/** The server ends what runs longer; the client gives up a little later, in case the server is not there to do it. */
const STATEMENT_MS_MAX = 30_000;
const ANSWER_MS_MAX = 35_000;

/** Key of the lock that writers take turns with: a number that nothing else in the database is likely to use. */
const WRITE_LOCK = 7_420_002;

// Counts and times come as 64-bit integers, which pg gives as text: ours are all below 2^53.
const { INT8, NUMERIC } = types.builtins;
const numberTypes: NonNullable<PoolConfig["types"]> = {
  getTypeParser: (oid, format) => (oid === INT8 || oid === NUMERIC ? Number : types.getTypeParser(oid, format)),
};

/**
 * Connects to PostgreSQL 15 or newer. Throws `unavailable` when it does not answer or is too old, `conflict` when another Runlayer has the
 * database. The URL's password never enters a message.
 */
export async function openPostgres(databaseUrl: string): Promise<SqlBackend> {
  const sockets = new Sockets();
  const guard = await InstanceGuard.acquire(databaseUrl, sockets);
  const own = openPool(databaseUrl, { sockets, max: OWN_CONNECTIONS_MAX });
  const callers = openPool(databaseUrl, { sockets, max: CALLERS_CONNECTIONS_MAX });
  return {
    dialect: "postgres",
    writer: own,
    reader: own,
    callersReader: callers,
    callersReadsMax: CALLERS_CONNECTIONS_MAX,
    start: () => guard.claim(own),
    enterTransaction: (trx) => enterTransaction(trx, guard),
    placeEvents: (trx, lines, firstSeq) => insertAuditRows(trx, placeEvents(lines, firstSeq).map(toAuditRow)),
    ping: () => guard.assertOwned(own),
    close: () =>
      sockets.closeAfter(async () => {
        await own.destroy();
        await callers.destroy();
        await guard.release();
      }),
  };
}

function openPool(databaseUrl: string, { sockets, max }: { sockets: Sockets; max: number }): Kysely<Database> {
  const pool = new Pool({
    ...KEEP_ALIVE,
    connectionString: databaseUrl,
    stream: sockets.create,
    max,
    // oxlint-disable-next-line typescript/no-misused-promises -- pg waits for it and closes the connection if it fails; only its type says otherwise
    onConnect: watchPeer,
    connectionTimeoutMillis: CONNECT_MS_MAX,
    statement_timeout: STATEMENT_MS_MAX,
    query_timeout: ANSWER_MS_MAX,
    types: numberTypes,
    application_name: "runlayer",
  });
  // An idle connection that the server ends is replaced at the next use; without a listener it would end the process.
  pool.on("error", () => undefined);
  // One in use fails its query besides; the pool listens only while it is idle.
  pool.on("connect", (client) => client.on("error", () => undefined));
  const dialect = new PostgresDialect({ pool: droppingSilent(pool) });
  return new Kysely<Database>({ dialect, plugins: [new CamelCasePlugin()] });
}

async function enterTransaction(trx: Transaction<Database>, guard: InstanceGuard): Promise<void> {
  await guard.hold();
  await sql`select pg_advisory_xact_lock(${sql.lit(WRITE_LOCK)})`.execute(trx);
  // After the lock, so that a process that lost the database sees who has it now.
  await guard.assertOwned(trx);
}
