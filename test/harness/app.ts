import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Client, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";
import { pino } from "pino";
import { startApp, type App } from "../../src/app/start-app.ts";
import { parseConfig, type Environment } from "../../src/app/config.ts";
import type { Machine } from "../../src/app/sweep-host.ts";

/** What a call came back with, whichever face it took. */
export interface Reply {
  /** HTTP status of the REST face. */
  readonly status: number;
  readonly body: Record<string, unknown>;
}

/** A real installation in a data directory of its own, with its first owner key. */
export interface TestApp {
  readonly url: string;
  readonly dataDir: string;
  /** The home that a scan of the host reads. */
  readonly home: string;
  readonly ownerKey: string;
  /** Everything the log said, for tests that look for secrets in it. */
  readonly log: string[];
  /** Calls below `/api/v1`, as the owner unless told. */
  rest(route: string, input?: unknown, key?: string): Promise<Reply>;
  /** A connected MCP client on `/mcp`. */
  mcp(key?: string): Promise<Client>;
  /** A connected MCP client on a server's gateway URL. */
  agentClient(server: string, key: string): Promise<Client>;
  /** A connected MCP client on `/gateway/mcp`. */
  aggregateClient(key: string): Promise<Client>;
  /** Stops it and starts it again on the same data. */
  restart(): Promise<void>;
  close(): Promise<void>;
}

/** A machine with an empty home and no process, so that scans in tests see what the test put there. */
function emptyMachine(dataDir: string): Machine {
  const [home, procFolder] = [join(dataDir, "machine/home/ada"), join(dataDir, "machine/proc")];
  for (const folder of [home, join(procFolder, "net")]) mkdirSync(folder, { recursive: true });
  // A table without a row: a machine without one would be one whose ports cannot be read.
  writeFileSync(join(procFolder, "net/tcp"), "  sl  local_address rem_address   st\n");
  return { name: "test-machine", home, root: join(dataDir, "machine"), procFolder };
}

export async function startTestApp(environment: Environment = {}): Promise<TestApp> {
  const dataDir = mkdtempSync(join(tmpdir(), "runlayer-app-"));
  const log: string[] = [];
  const port = await freePort();
  const config = parseConfig({ RUNLAYER_PORT: String(port), RUNLAYER_LOG_LEVEL: "info", ...environment }, dataDir);
  const logger = pino({ level: config.logLevel }, { write: (line: string) => void log.push(line) });
  const machine = emptyMachine(dataDir);
  let app: App = await startApp(config, { logger, machine });
  const ownerKey = (await app.open()) ?? environment["RUNLAYER_BOOTSTRAP_KEY"] ?? "";
  const clients = new Set<Client>();
  const connect = async (path: string, key: string): Promise<Client> => {
    const client = new Client({ name: "runlayer-test", version: "1.0.0" });
    const requestInit = { headers: { Authorization: `Bearer ${key}` } };
    await client.connect(new StreamableHTTPClientTransport(new URL(`${app.url}${path}`), { requestInit }));
    clients.add(client);
    return client;
  };
  return {
    get url() {
      return app.url;
    },
    dataDir,
    home: machine.home,
    ownerKey,
    log,
    rest: (route, input, key = ownerKey) => callRest(app.url, { route, input, key }),
    mcp: (key = ownerKey) => connect("/mcp", key),
    agentClient: (server, key) => connect(`/gateway/${server}/mcp`, key),
    aggregateClient: (key) => connect("/gateway/mcp", key),
    async restart() {
      await app.close();
      app = await startApp(config, { logger, machine });
      await app.open();
    },
    async close() {
      for (const client of clients) await client.close().catch(() => undefined);
      await app.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

interface RestCall {
  /** `POST /servers`; a parameter is already in place. */
  readonly route: string;
  readonly input: unknown;
  readonly key: string;
}

/** One call below `/api/v1` of a server somewhere. */
export async function callRest(url: string, { route, input, key }: RestCall): Promise<Reply> {
  const [method = "GET", path = "/"] = route.split(" ");
  const isBodyless = method === "GET";
  const query = isBodyless && input !== undefined ? `?${toQuery(input)}` : "";
  const response = await fetch(`${url}/api/v1${path}${query}`, {
    method,
    headers: {
      ...(key === "" ? {} : { authorization: `Bearer ${key}` }),
      ...(isBodyless || input === undefined ? {} : { "content-type": "application/json" }),
    },
    ...(isBodyless || input === undefined ? {} : { body: JSON.stringify(input) }),
  });
  const text = await response.text();
  const body: unknown = text === "" ? {} : JSON.parse(text);
  return { status: response.status, body: isRecord(body) ? body : { value: body } };
}

function toQuery(input: unknown): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(isRecord(input) ? input : {})) {
    for (const item of Array.isArray(value) ? value : [value]) query.append(name, String(item));
  }
  return query.toString();
}

/** Reads a member of an answer by its path; undefined where there is none. */
export function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>((inner, key) => {
    if (Array.isArray(inner)) return inner[Number(key)];
    return isRecord(inner) ? inner[key] : undefined;
  }, value);
}

/** As `at`, for a member that must be a text. */
export function textAt(value: unknown, ...path: (string | number)[]): string {
  const found = at(value, ...path);
  if (typeof found !== "string")
    throw new Error(`no text at ${path.join(".")} in ${JSON.stringify(value).slice(0, 500)}`);
  return found;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  if (address === null || typeof address === "string") throw new Error("a listening server has a port");
  return address.port;
}
