import { once } from "node:events";
import { Worker } from "node:worker_threads";
import { AppError } from "../../../lib/errors.ts";
import { StatementError } from "../statement-error.ts";
import type {
  ConnectionIndex,
  Statement,
  StatementResult,
  WorkerReply,
  WorkerRequest,
  WorkerSettings,
} from "./protocol.ts";

interface Waiting {
  readonly resolve: (results: readonly StatementResult[]) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * The SQLite worker as seen from the main thread. When the worker dies, all that waits and all that comes later is refused
 * with `unavailable`: nobody can know what the lost connection had done.
 */
export class SqliteThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  #lastId = 0;
  #hasExited = false;
  #end: AppError | undefined;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on("message", (reply: WorkerReply) => this.#settle(reply));
    worker.on("error", (error) => this.#die(error));
    worker.on("exit", (code) => {
      this.#hasExited = true;
      this.#die(new Error(`the SQLite worker ended with code ${code}`));
    });
  }

  /** Resolves once the database is open and this process alone has it. */
  static async start(settings: WorkerSettings): Promise<SqliteThread> {
    const file = import.meta.url.endsWith(".ts") ? "./sqlite.worker.ts" : "./sqlite.worker.js";
    const worker = new Worker(new URL(file, import.meta.url), { workerData: settings });
    const refusal = await firstReply(worker);
    if (refusal === undefined) return new SqliteThread(worker);
    await worker.terminate();
    throw refusal;
  }

  /** Runs the statements in order in one round trip; rejects with the first failure as `StatementError`. */
  run(connection: ConnectionIndex, statements: readonly Statement[]): Promise<readonly StatementResult[]> {
    if (this.#end !== undefined) return Promise.reject(this.#end);
    const request: WorkerRequest = { kind: "run", id: ++this.#lastId, connection, statements };
    return new Promise((resolve, reject) => {
      this.#waiting.set(request.id, { resolve, reject });
      this.#post(request);
    });
  }

  /** Throws `unavailable` when the worker has ended. Does not wait for what it works on. */
  assertRuns(): void {
    if (this.#end !== undefined) throw this.#end;
  }

  async stop(): Promise<void> {
    this.#end ??= new AppError("unavailable", "the database is closed");
    const isGone = this.#hasExited ? Promise.resolve() : once(this.#worker, "exit");
    this.#post({ kind: "stop" });
    await isGone;
  }

  #post(request: WorkerRequest): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread is no window and has no origin
    this.#worker.postMessage(request);
  }

  #settle(reply: WorkerReply): void {
    if (reply.kind === "ready" || reply.kind === "refused") return;
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (reply.kind === "done") waiting?.resolve(reply.results);
    else waiting?.reject(new StatementError(reply.code, reply.message));
  }

  #die(cause: unknown): void {
    this.#end ??= new AppError("unavailable", "the database stopped working; restart Runlayer", { cause });
    for (const waiting of this.#waiting.values()) waiting.reject(this.#end);
    this.#waiting.clear();
  }
}

function firstReply(worker: Worker): Promise<unknown> {
  return new Promise((resolve) => {
    worker.once("message", (reply: WorkerReply) =>
      resolve(reply.kind === "refused" ? new StatementError(reply.code, reply.message) : undefined),
    );
    worker.once("error", resolve);
  });
}
