import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";

/** A program that the demo started; stopped by its own process id and nothing wider. */
export interface Child {
  readonly pid: number;
  stop(): Promise<void>;
}

export interface ChildSettings {
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** The program is ready when a line of its output holds this. */
  readonly readyLine: string;
}

const READY_MS_MAX = 30_000;
// The server finishes its calls in 10 s; what is still there after that hangs.
const STOP_MS_MAX = 12_000;
const KEPT_OUTPUT_BYTES = 8_192;

/** Starts a Node program and waits until it is ready. Throws with what it said when it ends or stays silent instead. */
export async function startChild({ args, env, readyLine }: ChildSettings): Promise<Child> {
  // Its own group: a Ctrl-C reaches the demo alone, which stops its children in order.
  const process_ = spawn(process.execPath, args, { env, stdio: ["ignore", "pipe", "pipe"], detached: true });
  const { pid } = process_;
  if (pid === undefined) throw new Error(`\`${args[0] ?? ""}\` cannot be started`);
  const child = { pid, stop: () => stop(process_) };
  try {
    await ready(process_, readyLine);
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

async function ready(child: ChildProcess, readyLine: string): Promise<void> {
  let said = "";
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const timer = setTimeout(() => reject(new Error(`not ready after ${READY_MS_MAX} ms:\n${said}`)), READY_MS_MAX);
  // Read to the end of its life: a full pipe would stop the program.
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      said = (said + chunk.toString("utf8")).slice(-KEPT_OUTPUT_BYTES);
      if (said.includes(readyLine)) resolve();
    });
  }
  child.once("exit", (code) => reject(new Error(`ended with ${code ?? "a signal"}:\n${said}`)));
  try {
    await promise;
  } finally {
    clearTimeout(timer);
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_MS_MAX);
  await ended;
  clearTimeout(timer);
}
