import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { AppError } from "../../lib/errors.ts";

/** Only its owner reads a file that holds a key. */
const OWNER_ONLY = 0o600;

/** The text of a file; empty where there is none. Throws `invalid_input` where a folder is there. */
export function readIfThere(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  // Node's own error would not name the path.
  if (found?.isDirectory() === true) throw new AppError("invalid_input", `\`${path}\`: it is a folder, not a file`);
  return found === undefined ? "" : readFileSync(path, "utf8");
}

/**
 * Writes a file that holds a key, in one step and for its owner only; what was there before is kept beside it. Gives the path of
 * that backup, undefined where there was nothing or nothing changed.
 */
export function writePrivately(path: string, text: string): string | undefined {
  // A link stays a link: people keep their configurations in one folder and link to them.
  const target = existsSync(path) ? realpathSync(path) : path;
  const before = readIfThere(target);
  if (before === text) {
    chmodSync(target, OWNER_ONLY);
    return undefined;
  }
  mkdirSync(dirname(target), { recursive: true, mode: 0o700 });
  const backup = existsSync(target) ? backUp(target, before) : undefined;
  const draft = `${target}.${process.pid}.tmp`;
  try {
    writeFileSync(draft, text, { mode: OWNER_ONLY, flag: "wx", flush: true });
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
  return backup;
}

function backUp(path: string, text: string): string {
  const time = new Date().toISOString().replaceAll(/[-:.]/g, "");
  const backup = `${path}.${time}.bak`;
  writeFileSync(backup, text, { mode: OWNER_ONLY, flag: "wx", flush: true });
  return backup;
}
