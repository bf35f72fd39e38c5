import { statSync, type Stats } from "node:fs";
import { dirname, join } from "node:path";
import { AppError } from "../../lib/errors.ts";

/** Throws `conflict` where the folder cannot be there or come to be, because a file is in its place. Changes nothing. */
export function checkFolderTarget(folder: string): void {
  const obstacle = findFileInPlace(folder);
  if (obstacle !== undefined) throw new AppError("conflict", `\`${obstacle}\` is no folder; pull into another one`);
}

/** Throws `conflict` where a folder is in the place of the file. Changes nothing. */
export function checkFileTarget(path: string): void {
  if (statOf(path)?.isDirectory() !== true) return;
  throw new AppError("conflict", `\`${path}\` is a folder, and a file is to be written there; move it away`);
}

/** Throws `conflict` where a file of the skill cannot be written for what is there and is not `removed` before. Changes nothing. */
export function checkSkillTargets(folder: string, paths: readonly string[], removed: readonly string[]): void {
  const going = new Set(removed.map((path) => join(folder, path)));
  for (const path of paths) {
    checkFileTarget(join(folder, path));
    const obstacle = findFileInPlace(dirname(join(folder, path)));
    if (obstacle === undefined || going.has(obstacle)) continue;
    throw new AppError(
      "conflict",
      `\`${obstacle}\` is no folder, and the skill has \`${path}\`; move it away, or let --prune remove it`,
    );
  }
}

/** The folder itself or one above it that is there and is none. */
function findFileInPlace(folder: string): string | undefined {
  const found = statOf(folder);
  if (found !== undefined) return found.isDirectory() ? undefined : folder;
  const parent = dirname(folder);
  return parent === folder ? undefined : findFileInPlace(parent);
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false });
}
