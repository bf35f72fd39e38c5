import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import { isAbsolute, join, relative } from "node:path";
import type { DiscoveredServer } from "./facts.ts";
import { parseLaunch } from "./parse-launch.ts";
import { errorCode, mayOthersWrite } from "./read-bounded.ts";

/** Larger than any script; programs beyond it are told by their name. */
const BYTES_MAX = 64 * 1024 * 1024;

/**
 * The script or program that an entry runs, if its path is absolute and it is a regular file. Its hash is taken only inside the home or where
 * everybody may read it: an entry MUST NOT make a scan with more rights tell about a file that its author cannot read.
 */
export async function findTarget(
  { command = "", args }: Pick<DiscoveredServer, "command" | "args">,
  home: string,
): Promise<DiscoveredServer["target"]> {
  const path = pathOf(command, args, home);
  if (path === undefined) return undefined;
  try {
    // A link in a home leads where it leads: what counts is where the file is.
    const real = await realpath(path);
    const file = await open(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      return await readTarget(file, !relative(await realpath(home), real).startsWith(".."));
    } finally {
      await file.close();
    }
  } catch (error) {
    if (errorCode(error) !== "") return undefined;
    throw error;
  }
}

async function readTarget(file: FileHandle, isInHome: boolean): Promise<DiscoveredServer["target"]> {
  const stat = await file.stat();
  const { mode, size } = stat;
  // Files of /proc have no size: what they hold is no program.
  if (!stat.isFile() || size === 0) return undefined;
  const isWritableByOthers = mayOthersWrite(mode);
  const mayTell = isInHome || (mode & 0o004) !== 0;
  if (!mayTell || size > BYTES_MAX) return { isWritableByOthers };
  const hash = createHash("sha256");
  let left = size;
  for await (const chunk of file.createReadStream({ autoClose: false, end: size - 1 })) {
    if (!Buffer.isBuffer(chunk)) break;
    hash.update(chunk);
    left -= chunk.length;
  }
  // A file that shrank meanwhile has no hash that means anything.
  return left === 0 ? { isWritableByOthers, sha256: hash.digest("hex") } : { isWritableByOthers };
}

function pathOf(command: string, args: readonly string[], home: string): string | undefined {
  const { kind, name } = parseLaunch(command, args);
  if (kind !== "script" && kind !== "bin") return undefined;
  const path = kind === "script" ? name.slice(name.indexOf(":") + 1) : command;
  const whole = path.startsWith("~/") ? join(home, path.slice(2)) : path;
  return isAbsolute(whole) ? whole : undefined;
}
