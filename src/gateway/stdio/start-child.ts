import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import type { Readable, Writable } from "node:stream";
import { AppError } from "../../lib/errors.ts";
import { once } from "../../lib/once.ts";
import { CHILD_SCRIPT, LIFELINE_FD } from "./child-script.ts";
import { coverInherited } from "./inherited-descriptors.ts";
import { bubblewrapArguments, type StdioIsolation } from "./isolation.ts";
import { readStderr, type StderrLine } from "./stderr-lines.ts";

/** What to start. */
export interface StdioSpec {
  readonly command: string;
  readonly args: readonly string[];
  /** Declared variables; nothing of the gateway's own environment is passed but PATH, HOME and LANG. */
  readonly env: Readonly<Record<string, string>>;
  /** Absolute; the account's home folder if absent. */
  readonly cwd?: string | null | undefined;
  /** For log lines: the server's name. */
  readonly label: string;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A running stdio server. Its `exited` resolves exactly once and never rejects. */
export interface StdioChild {
  readonly pid: number;
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly exited: Promise<ChildExit>;
  /** The last lines of its standard error, masked; waits until it has ended and said all, or a moment longer. */
  lastWords(): Promise<readonly string[]>;
  /** Asks, then insists, then kills, the whole process group; resolves when the child has ended. */
  stop(): Promise<ChildExit>;
}

export interface StartOptions {
  readonly isolation: StdioIsolation;
  /** Kept from children under bubblewrap: data folder, key file. */
  readonly hiddenPaths: readonly string[];
  readonly maskText: (text: string) => string;
  readonly onLine: (line: StderrLine) => void;
  readonly ladder: KillLadder;
}

/** How long each step of stopping a child may take. */
export interface KillLadder {
  readonly stdinCloseMs: number;
  readonly sigtermMs: number;
}

const LAST_WORDS_MS = 500;
const GUARD_MARGIN_MS = 2000;
const DEFAULT_PATH = "/usr/local/bin:/usr/bin:/bin";

/** Starts a child; throws `forbidden` where isolation forbids it, `upstream_error` where the system cannot start one. */
export async function startChild(spec: StdioSpec, options: StartOptions): Promise<StdioChild> {
  const { isolation } = options;
  if (isolation.mode === "refused") throw isolation.fault;
  const env = environmentOf(spec, isolation);
  const account = isolation.mode === "user" ? { uid: isolation.user.uid, gid: isolation.user.gid } : {};
  const grace = String(graceSecondsOf(options.ladder));
  const command = commandOf(spec, options);
  const folder = spec.cwd ?? folderOf(isolation);
  const process = spawn("/bin/sh", ["-c", CHILD_SCRIPT, "sh", folder, grace, randomUUID(), ...command], {
    cwd: "/",
    env,
    // Own session and process group: signals to the gateway's group miss it, and one signal ends it whole.
    detached: true,
    stdio: ["pipe", "pipe", "pipe", "pipe", ...coverInherited()],
    ...account,
  });
  return superviseChild(process, spec, options);
}

function commandOf(spec: StdioSpec, { isolation, hiddenPaths }: StartOptions): string[] {
  const command = [spec.command, ...spec.args];
  return isolation.mode === "bubblewrap"
    ? [isolation.program, ...bubblewrapArguments(hiddenPaths), ...command]
    : command;
}

function environmentOf(spec: StdioSpec, isolation: StdioIsolation): Record<string, string> {
  const { PATH, HOME } = process.env;
  // `npx` and the like are where the gateway finds them; relative entries would mean another folder for the child.
  const path = (PATH ?? DEFAULT_PATH).split(":").filter((entry) => entry.startsWith("/"));
  const home = isolation.mode === "user" ? isolation.user.home : (HOME ?? "/");
  return { PATH: path.join(":"), HOME: home, LANG: "C.UTF-8", ...spec.env };
}

function folderOf(isolation: StdioIsolation): string {
  // Never the gateway's own folder. The home of accounts such as `nobody` does not exist.
  return isolation.mode === "user" ? "/" : (process.env["HOME"] ?? "/");
}

async function superviseChild(child: ChildProcess, spec: StdioSpec, options: StartOptions): Promise<StdioChild> {
  const exited = new Promise<ChildExit>((resolve) => {
    child.once("exit", (code, signal) => resolve({ code, signal }));
  });
  await new Promise<void>((resolve, reject) => {
    child.once("spawn", resolve);
    child.once("error", (error) => {
      reject(new AppError("upstream_error", "the system could not start a process for the command", { cause: error }));
    });
  });
  const { pid, stdin, stdout, stderr } = child;
  const lifeline = child.stdio[LIFELINE_FD];
  if (pid === undefined || stdin === null || stdout === null || stderr === null || !isWritable(lifeline)) {
    throw new AppError("upstream_error", "the system gave no pipes for the command");
  }
  // A child that does not read makes EPIPE; its exit says what matters. Later faults of the process are the same.
  for (const stream of [stdin, stdout, lifeline, child]) stream.on("error", () => undefined);
  const secrets = Object.values(spec.env);
  const tail = readStderr(stderr, { maskText: options.maskText, secrets, onLine: options.onLine });
  // What the child left behind in its group goes with it.
  void exited.then(() => lifeline.end());
  const stopOnce = once(() => climb({ child, pid, lifeline, exited }, options.ladder));
  const allSaid = new Promise<void>((resolve) => stderr.once("close", resolve));
  const lastWords = async (): Promise<readonly string[]> => {
    await exited;
    // A grandchild may hold the stream open for ever.
    await within(allSaid, LAST_WORDS_MS);
    return tail();
  };
  return { pid, stdin, stdout, exited, lastWords, stop: stopOnce };
}

interface Stopping {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly lifeline: Writable;
  readonly exited: Promise<ChildExit>;
}

/** MCP 2025-11-25, stdio shutdown: close the input, then SIGTERM, then SIGKILL; ours go to the whole group. */
async function climb({ child, pid, lifeline, exited }: Stopping, ladder: KillLadder): Promise<ChildExit> {
  child.stdin?.end();
  const politely = await within(exited, ladder.stdinCloseMs);
  if (politely !== undefined) return politely;
  lifeline.end();
  signalGroup(pid, "SIGTERM");
  // The guard kills, because it also finds what has left the group; by us only if the guard itself is gone.
  const insisted = await within(exited, graceSecondsOf(ladder) * 1000 + GUARD_MARGIN_MS);
  if (insisted !== undefined) return insisted;
  signalGroup(pid, "SIGKILL");
  return exited;
}

/** The guard waits by `sleep`, in whole seconds. */
function graceSecondsOf(ladder: KillLadder): number {
  return Math.max(1, Math.ceil(ladder.sigtermMs / 1000));
}

/** The group exists as long as the child is not reaped, so its number cannot mean another one. */
function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (error) {
    // Gone, or (EPERM) of another account by a setuid program: then only the closed pipes can tell it to end.
    const isBeyondUs = error instanceof Error && "code" in error && (error.code === "ESRCH" || error.code === "EPERM");
    if (!isBeyondUs) throw error;
  }
}

async function within<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

function isWritable(stream: Readable | Writable | null | undefined): stream is Writable {
  return stream !== null && stream !== undefined && "end" in stream;
}
