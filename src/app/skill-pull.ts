import { existsSync } from "node:fs";
import { readdir, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { AppError } from "../lib/errors.ts";
import { makeFolder } from "../lib/make-folder.ts";
import type { SkillFile } from "../skills/package/skill-files.ts";
import { readSkillFolder, writeSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, toSkillFiles, toSkillPackage } from "../skills/package/skill-package.ts";
import { readSkillZipFile } from "../skills/package/skill-zip-file.ts";
import { writeSkillZip } from "../skills/package/skill-zip.ts";
import { checkFileTarget, checkFolderTarget, checkSkillTargets } from "../skills/package/write-targets.ts";
import type { SkillChange } from "./skill-change.ts";
import { type Checked, orFault, type Synced, toChange, toRefusal } from "./skill-faults.ts";
import {
  getSkill,
  type ListedSkill,
  listSkills,
  type StoredSkill,
  type SyncOptions,
  toPackage,
} from "./skill-registry.ts";

export interface PullOptions extends SyncOptions {
  /** A zip for each skill instead of a folder. */
  readonly zip?: true | undefined;
  /** Remove files of a skill's folder that the registry's version does not have. */
  readonly prune?: true | undefined;
}

/**
 * Writes the registry's skills into a folder, each as agents get it: what nobody approved is left out. A folder that is none of a
 * skill is left as it is, and that skill refused.
 */
export async function pullSkills(folder: string, options: PullOptions): Promise<Synced> {
  checkFolderTarget(folder);
  const checked: Checked[] = [];
  for (const listed of await listSkills(options)) {
    const path = join(folder, options.zip === true ? `${listed.name}.zip` : listed.name);
    checked.push({ path, result: await orFault(() => pullOne(listed, path, options)) });
  }
  return { changes: checked.map(toChange), refusal: toRefusal(checked, "what is there is left as it is") };
}

async function pullOne(listed: ListedSkill, path: string, options: PullOptions): Promise<SkillChange> {
  const { name, servingVersion, latestVersion } = listed;
  if (servingVersion === null)
    return { name, change: "left_out", message: `version ${latestVersion} is not approved, and agents get none` };
  const skill = await getSkill(name, servingVersion, options);
  return { name, ...(await (options.zip === true ? pullZip : pullFolder)(skill, path, options)) };
}

type Pulled = Omit<SkillChange, "name">;

async function pullZip(skill: StoredSkill, path: string, { dryRun }: PullOptions): Promise<Pulled> {
  checkFileTarget(path);
  const isNew = !existsSync(path);
  if (!isNew && digestSkill(toSkillPackage(await readSkillZipFile(path))) === skill.digest)
    return { change: "unchanged" };
  if (dryRun !== true) {
    makeFolder(dirname(path));
    await writeFile(path, writeSkillZip(toSkillFiles(toPackage(skill))));
  }
  return { change: isNew ? "new" : "changed" };
}

async function pullFolder(skill: StoredSkill, folder: string, { dryRun, prune }: PullOptions): Promise<Pulled> {
  const wanted = toSkillFiles(toPackage(skill));
  const paths = new Set(wanted.map(({ path }) => path));
  const local = await readTarget(folder);
  const others = local.flatMap(({ path }) => (paths.has(path) ? [] : [path]));
  const removed = prune === true ? others : [];
  const known = local.filter(({ path }) => paths.has(path));
  const isUnchanged = removed.length === 0 && (await isSame(known, skill));
  if (!isUnchanged) checkSkillTargets(folder, [...paths], removed);
  if (!isUnchanged && dryRun !== true) await writeSkillFolder(folder, wanted, removed);
  const change = local.length === 0 ? "new" : isUnchanged ? "unchanged" : "changed";
  if (others.length === 0) return { change };
  return prune === true ? { change, removed } : { change, kept: others };
}

/** The files of a skill's folder; none where there is no folder or an empty one. Throws `conflict` for what is not a skill's. */
async function readTarget(folder: string): Promise<readonly SkillFile[]> {
  if (existsSync(join(folder, "SKILL.md"))) return readSkillFolder(folder);
  if (!existsSync(folder)) return [];
  if ((await stat(folder)).isDirectory() && (await readdir(folder)).length === 0) return [];
  throw new AppError("conflict", "it is there and holds no `SKILL.md`; pull into another folder, or move it away");
}

/** Files that make no skill, such as those of another version without its code, are not the same. */
async function isSame(files: readonly SkillFile[], { digest }: StoredSkill): Promise<boolean> {
  if (files.length === 0) return false;
  const local = await orFault(async () => digestSkill(toSkillPackage(files)));
  return local === digest;
}
