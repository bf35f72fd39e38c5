import { lstat, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "../../lib/errors.ts";
import { makeFolder } from "../../lib/make-folder.ts";
import { checkSkillFiles, fileTooLarge, PACKAGE_LIMITS, packageTooLarge, type SkillFile } from "./skill-files.ts";

/** Reads the files of a skill's folder, within the limits of a package. Hidden folders (`.git`) are left out. */
export async function readSkillFolder(folder: string): Promise<readonly SkillFile[]> {
  const files: SkillFile[] = [];
  await readInto(files, folder, "");
  return checkSkillFiles(files);
}

/**
 * Writes the files of a skill into its folder: what is missing is created, what is there is overwritten. Of other files those named by
 * `removed` go, which MUST be paths as `readSkillFolder` gives them, and the rest stays.
 */
export async function writeSkillFolder(
  folder: string,
  files: readonly SkillFile[],
  removed: readonly string[] = [],
): Promise<void> {
  const wanted = checkSkillFiles(files);
  // First, since a file system may take a removed name for a written one.
  for (const path of removed) await rm(join(folder, path));
  for (const { path, bytes } of wanted) {
    const target = join(folder, path);
    makeFolder(dirname(target));
    await writeFile(target, bytes);
  }
}

async function readInto(files: SkillFile[], folder: string, prefix: string): Promise<void> {
  for (const entry of await readdir(join(folder, prefix), { withFileTypes: true })) {
    const path = prefix === "" ? entry.name : `${prefix}/${entry.name}`;
    if (entry.isSymbolicLink())
      throw new AppError("invalid_input", `\`${path}\` is a symbolic link; use the file itself`);
    if (entry.isDirectory() && !entry.name.startsWith(".")) await readInto(files, folder, path);
    else if (entry.isFile()) files.push(await readOne(join(folder, path), path));
    if (files.length > PACKAGE_LIMITS.files || totalBytes(files) > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
  }
}

async function readOne(file: string, path: string): Promise<SkillFile> {
  // The size is looked at first, so that a huge file is never read.
  const { size } = await lstat(file);
  if (size > PACKAGE_LIMITS.fileBytes) throw fileTooLarge(path);
  return { path, bytes: await readFile(file) };
}

function totalBytes(files: readonly SkillFile[]): number {
  return files.reduce((total, file) => total + file.bytes.length, 0);
}
