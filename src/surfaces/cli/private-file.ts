import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";

/** Only its owner reads a file that holds a key. */
const OWNER_ONLY = 0o600;

/** The text of a file; empty where there is none. */
export function readIfThere(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
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
