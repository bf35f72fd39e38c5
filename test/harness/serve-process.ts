import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { at, callRest, freePort, type Reply } from "./app.ts";

const BIN = resolve(import.meta.dirname, "../../bin/runlayer.js");
// A second on a machine of its own; tests share theirs.
const READY_MS_MAX = 60_000;

/** The program itself, as a child process that a test may kill. */
export interface ServeProcess {
  readonly url: string;
  /** From the start of the process until it said that it serves. */
  readonly readyMs: number;
  rest(route: string, input?: unknown): Promise<Reply>;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
}

export interface ServeOptions {
  readonly dataDir: string;
  readonly ownerKey: string;
  readonly environment?: Readonly<Record<string, string | undefined>> | undefined;
}

/** Starts `runlayer serve` on a free port and waits until it serves. MUST be killed. */
export async function startServe({ dataDir, ownerKey, environment = {} }: ServeOptions): Promise<ServeProcess> {
  const port = await freePort();
  const startedAt = performance.now();
  const child = spawn(process.execPath, [BIN, "serve"], {
    env: {
      PATH: process.env["PATH"],
      RUNLAYER_PORT: String(port),
      RUNLAYER_DATA_DIR: dataDir,
      RUNLAYER_BOOTSTRAP_KEY: ownerKey,
      RUNLAYER_LOG_LEVEL: "error",
      ...environment,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await untilServing(child, exited);
  const readyMs = performance.now() - startedAt;
  const url = `http://127.0.0.1:${port}`;
  return {
    url,
    readyMs,
    rest: (route, input) => callRest(url, { route, input, key: ownerKey }),
    async kill() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

async function untilServing(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  const timeout = setTimeout(() => child.kill("SIGKILL"), READY_MS_MAX);
  let said = "";
  const greeting = new Promise<void>((serving) => {
    child.stdout?.on("data", (chunk: Buffer) => {
      said += chunk.toString("utf8");
      if (said.includes("serves at")) serving();
    });
  });
  const isServing = await Promise.race([greeting.then(() => true), exited.then(() => false)]);
  clearTimeout(timeout);
  if (!isServing) throw new Error(`the program ended before it served: ${said}`);
}

/** Every item of a list, page by page. */
export async function restAll(
  serving: Pick<ServeProcess, "rest">,
  route: string,
  input: object = {},
): Promise<readonly unknown[]> {
  const items: unknown[] = [];
  let cursor: unknown;
  do {
    const { status, body } = await serving.rest(route, {
      limit: 200,
      ...input,
      ...(cursor === undefined ? {} : { cursor }),
    });
    if (status !== 200) throw new Error(`${route}: ${JSON.stringify(body)}`);
    const page = at(body, "items");
    items.push(...(Array.isArray(page) ? page : []));
    cursor = body["nextCursor"];
  } while (cursor !== undefined);
  return items;
}
