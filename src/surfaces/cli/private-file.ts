import {
  chmodSync,
  closeSync,
  existsSync,
  fsyncSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readFileSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { dirname, resolve } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { makeFolder } from "../../lib/make-folder.ts";

/** Only its owner reads a file that holds a key. */
const OWNER_ONLY = 0o600;

/** The text of a file; empty where there is none. Throws `invalid_input` where a folder, a device or a pipe is there. */
export function readIfThere(path: string): string {
  const found = statSync(path, { throwIfNoEntry: false });
  // Node's own error would not name the path.
  if (found?.isDirectory() === true) throw new AppError("invalid_input", `\`${path}\`: it is a folder, not a file`);
  // Writing puts another file in its place: of `/dev/null` too, where root does it.
  if (found?.isFile() === false) throw new AppError("invalid_input", `\`${path}\`: it is no regular file`);
  return found === undefined ? "" : readFileSync(path, "utf8");
}

/**
 * Writes a file that holds a key, in one step and for its owner only; what was there before is kept beside it. Gives the path of
 * that backup, undefined where there was nothing or nothing changed.
 */
export function writePrivately(path: string, text: string): string | undefined {
  const target = targetOf(path);
  if (readIfThere(target) === text) {
    chmodSync(target, OWNER_ONLY);
    return undefined;
  }
  const draft = draftPrivately(path, text);
  draft.finish(() => text);
  return draft.backup;
}

/** A file that is about to be written. MUST be finished or discarded. */
export interface PrivateDraft {
  /** What was there before; undefined where there was nothing. */
  readonly backup: string | undefined;
  /** Puts the text in its place in one step. Throws what hindered that, or what `toText` throws; the file is as it was then. */
  finish(toText: () => string): void;
  discard(): void;
}

/** Does all of a writing but its last step; `trial` takes the room that the text will need. */
export function draftPrivately(path: string, trial: string): PrivateDraft {
  const target = targetOf(path);
  makeFolder(dirname(target), 0o700);
  const draft = `${target}.${process.pid}.tmp`;
  // Kept open: by its name it could be another file by the time that the key is known.
  const fd = openSync(draft, "wx", OWNER_ONLY);
  const removeDraft = (): void => {
    closeSync(fd);
    rmSync(draft, { force: true });
  };
  const backup = undoing(removeDraft, () => {
    writeAll(fd, trial);
    return existsSync(target) ? backUp(target) : undefined;
  });
  return {
    backup,
    finish: (toText) =>
      undoing(removeDraft, () => {
        writeAll(fd, toText());
        renameSync(draft, target);
        closeSync(fd);
      }),
    discard() {
      removeDraft();
      if (backup !== undefined) rmSync(backup, { force: true });
    },
  };
}

/** Over what is there, whose room is certain. */
function writeAll(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length;) at += writeSync(fd, bytes, at, bytes.length - at, at);
  ftruncateSync(fd, bytes.length);
  fsyncSync(fd);
}

/** A link stays a link, to nothing yet too: people keep their configurations in one folder and link to them. */
function targetOf(path: string): string {
  if (existsSync(path)) return realpathSync(path);
  const isLink = lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() === true;
  // Reading it has thrown where links lead in a circle.
  return isLink ? targetOf(resolve(realpathSync(dirname(path)), readlinkSync(path))) : path;
}

function undoing<T>(undo: () => void, work: () => T): T {
  try {
    return work();
  } catch (error) {
    undo();
    throw error;
  }
}

function backUp(path: string): string {
  const time = new Date().toISOString().replaceAll(/[-:.]/g, "");
  const backup = `${path}.${time}.bak`;
  writeFileSync(backup, readIfThere(path), { mode: OWNER_ONLY, flag: "wx", flush: true });
  return backup;
}
