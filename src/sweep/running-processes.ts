import { open, readdir } from "node:fs/promises";
import { processes as listProcesses } from "systeminformation";
import { errorCode } from "./read-bounded.ts";

export interface RunningProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly argv: readonly string[];
}

/** Every process that may be seen, by `/proc` on Linux and by asking the operating system elsewhere. */
export async function readRunning(procFolder: string): Promise<RunningProcess[]> {
  return process.platform === "linux" ? readProc(procFolder) : askSystem();
}

const AT_ONCE = 64;
const ARGUMENTS_MAX = 200;
/** A command line may have megabytes, and which server it is stands at its beginning. */
const COMMAND_BYTES_MAX = 64 * 1024;
const STAT_BYTES_MAX = 4096;

async function readProc(folder: string): Promise<RunningProcess[]> {
  const pids = (await readdir(folder)).filter((name) => /^\d+$/.test(name));
  const found: RunningProcess[] = [];
  for (let from = 0; from < pids.length; from += AT_ONCE) {
    const some = await Promise.all(pids.slice(from, from + AT_ONCE).map((pid) => readProcess(folder, pid)));
    found.push(...some.filter((one) => one !== undefined));
  }
  return found;
}

async function readProcess(folder: string, pid: string): Promise<RunningProcess | undefined> {
  try {
    const [line, stat] = await Promise.all([
      readStart(`${folder}/${pid}/cmdline`, COMMAND_BYTES_MAX),
      readStart(`${folder}/${pid}/stat`, STAT_BYTES_MAX),
    ]);
    const argv = line
      .split("\0")
      .filter((word, index) => index === 0 || word !== "")
      .slice(0, ARGUMENTS_MAX);
    // The program's name stands in parentheses and may hold any character, so fields are counted after the last one.
    const parentPid = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1] ?? 0);
    return line === "" ? undefined : { pid: Number(pid), parentPid, argv };
  } catch (error) {
    // The process ended meanwhile, or is another user's.
    if (errorCode(error) !== "") return undefined;
    throw error;
  }
}

/** The beginning of a file of `/proc`: such files tell no size, so that only reading bounds them. Throws what the system says. */
export async function readStart(path: string, bytesMax: number): Promise<string> {
  const file = await open(path);
  try {
    const buffer = Buffer.alloc(bytesMax);
    let length = 0;
    for (;;) {
      const { bytesRead } = await file.read(buffer, length, bytesMax - length);
      length += bytesRead;
      if (bytesRead === 0 || length === bytesMax) return buffer.toString("utf8", 0, length);
    }
  } finally {
    await file.close();
  }
}

async function askSystem(): Promise<RunningProcess[]> {
  const { list } = await listProcesses();
  return list.map(({ pid, parentPid, command, params }) => ({
    pid,
    parentPid,
    argv: [command, ...params.split(" ")].filter(Boolean),
  }));
}
