import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { AppError } from "../../lib/errors.ts";
import { PACKAGE_LIMITS, packageTooLarge, type SkillFile } from "./skill-files.ts";
import { readSkillZip } from "./skill-zip.ts";

/** Whether a path names a zip. */
export function isZip(path: string): boolean {
  return path.endsWith(".zip");
}

/** Reads a zip of a skill, within the limits of a package. Throws `not_found` where there is none. */
export async function readSkillZipFile(path: string): Promise<readonly SkillFile[]> {
  if (!existsSync(path)) throw new AppError("not_found", `there is no file \`${path}\``);
  // The size is looked at first, so that a huge file is never read.
  if ((await stat(path)).size > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
  return readSkillZip(await readFile(path));
}
