import { spawn, type ChildProcess } from "node:child_process";
import { resolve } from "node:path";

export const PROGRAM = resolve(import.meta.dirname, "../../bin/runlayer.js");
const READY = /Runlayer serves at (\S+)/;

export interface Finished {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface Account {
  readonly uid?: number;
  readonly gid?: number;
}

/** Runs the real program to its end, under another account if one is given. */
export async function runProgram(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  account: Account = {},
): Promise<Finished> {
  const child = start(args, environment, account);
  const texts = collect(child);
  const code = await new Promise<number | null>((done) => child.on("close", done));
  return { code, ...texts() };
}

export interface RunningProgram {
  readonly url: string;
  readonly pid: number;
  readonly output: () => { readonly out: string; readonly err: string };
  stop(signal?: NodeJS.Signals): Promise<Finished>;
}

/** Starts `runlayer serve` and waits until it serves. Rejects with what it said where it ends instead. */
export async function startProgram(environment: Readonly<Record<string, string>>): Promise<RunningProgram> {
  const child = start(["serve"], environment);
  const texts = collect(child);
  const closed = new Promise<number | null>((done) => child.on("close", done));
  const url = await new Promise<string>((ready, failed) => {
    child.stdout?.on("data", () => {
      const match = READY.exec(texts().out);
      if (match?.[1] !== undefined) ready(match[1]);
    });
    void closed.then((code) => failed(new Error(`ended with ${code}: ${texts().err}`)));
  });
  return {
    url,
    pid: child.pid ?? 0,
    output: texts,
    async stop(signal = "SIGTERM") {
      child.kill(signal);
      return { code: await closed, ...texts() };
    },
  };
}

function start(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
  account: Account = {},
): ChildProcess {
  const { RUNLAYER_URL: _url, RUNLAYER_API_KEY: _key, ...inherited } = process.env;
  return spawn(process.execPath, [PROGRAM, ...args], {
    env: { ...inherited, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
    ...account,
  });
}

function collect(child: ChildProcess): () => { out: string; err: string } {
  const out: string[] = [];
  const err: string[] = [];
  child.stdout?.setEncoding("utf8").on("data", (text: string) => out.push(text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => err.push(text));
  return () => ({ out: out.join(""), err: err.join("") });
}
