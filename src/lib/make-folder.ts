import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { AppError } from "./errors.ts";

/**
 * Makes a folder and those above it, if they are missing. Throws `invalid_input` where something else has the name. Folder by folder:
 * Node's own recursive way never ends where a file system refuses new ones as not there, as `/proc` does.
 */
export function makeFolder(path: string, mode = 0o777): void {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found?.isDirectory() === true) return;
  if (found !== undefined) throw new AppError("invalid_input", `\`${path}\` is not a folder`);
  const parent = dirname(path);
  if (parent !== path) makeFolder(parent, mode);
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    // Another process may have made it meanwhile.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) throw error;
  }
}
