import { createHash } from "node:crypto";
import { constants } from "node:fs";
import { type FileHandle, open, realpath } from "node:fs/promises";
import { isAbsolute, join, relative, sep } from "node:path";
import type { DiscoveredServer } from "./facts.ts";
import { parseLaunch } from "./parse-launch.ts";
import { errorCode, mayOthersWrite } from "./read-bounded.ts";

/** Larger than any script; programs beyond it are told by their name. */
const BYTES_MAX = 64 * 1024 * 1024;

/** Of all programs of one home, each counted once: some seconds of hashing. */
const HASHED_BYTES_MAX = 1024 * 1024 * 1024;

type Target = DiscoveredServer["target"];

/** Tells of the scripts and programs that entries of one home run; each file is read once, however many entries name it. */
export class TargetReader {
  readonly #home: string;
  readonly #known = new Map<string, Target>();
  #bytesLeft = HASHED_BYTES_MAX;

  constructor(home: string) {
    this.#home = home;
  }

  /**
   * The script or program that an entry runs, if its path is absolute and it is a regular file. Its hash is taken only inside the home or where
   * everybody may read it: an entry MUST NOT make a scan with more rights tell about a file that its author cannot read.
   */
  async find({ command = "", args }: Pick<DiscoveredServer, "command" | "args">): Promise<Target> {
    const path = pathOf(command, args, this.#home);
    if (path === undefined) return undefined;
    try {
      // A link in a home leads where it leads: what counts is where the file is.
      const real = await realpath(path);
      if (!this.#known.has(real)) this.#known.set(real, await this.#read(real));
      return this.#known.get(real);
    } catch (error) {
      if (errorCode(error) !== "") return undefined;
      throw error;
    }
  }

  async #read(real: string): Promise<Target> {
    const file = await open(real, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    try {
      const stat = await file.stat();
      const { mode, size } = stat;
      // Files of /proc have no size: what they hold is no program.
      if (!stat.isFile() || size === 0) return undefined;
      const isWritableByOthers = mayOthersWrite(mode);
      const mayTell = isInside(real, await realpath(this.#home)) || (mode & 0o004) !== 0;
      if (!mayTell || size > Math.min(BYTES_MAX, this.#bytesLeft)) return { isWritableByOthers };
      this.#bytesLeft -= size;
      return { isWritableByOthers, sha256: await hashOf(file, size) };
    } finally {
      await file.close();
    }
  }
}

/** Undefined for a file that shrank meanwhile: no hash of it means anything. */
async function hashOf(file: FileHandle, size: number): Promise<string | undefined> {
  const hash = createHash("sha256");
  let left = size;
  for await (const chunk of file.createReadStream({ autoClose: false, end: size - 1 })) {
    if (!Buffer.isBuffer(chunk)) break;
    hash.update(chunk);
    left -= chunk.length;
  }
  return left === 0 ? hash.digest("hex") : undefined;
}

function isInside(path: string, folder: string): boolean {
  const way = relative(folder, path);
  // Between two drives of Windows there is no relative way.
  return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
}

function pathOf(command: string, args: readonly string[], home: string): string | undefined {
  const { kind, name } = parseLaunch(command, args);
  if (kind !== "script" && kind !== "bin") return undefined;
  const path = kind === "script" ? name.slice(name.indexOf(":") + 1) : command;
  const whole = path.startsWith("~/") ? join(home, path.slice(2)) : path;
  return isAbsolute(whole) ? whole : undefined;
}
