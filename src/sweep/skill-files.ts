import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { DiscoveredSkill } from "./facts.ts";
import { errorCode, readBoundedText } from "./read-bounded.ts";

/** Files that steer agents in a project. */
export const RULE_FILES = [
  "CLAUDE.md",
  "AGENTS.md",
  "GEMINI.md",
  ".cursorrules",
  ".windsurfrules",
  ".clinerules",
  ".goosehints",
  ".hermes.md",
  ".github/copilot-instructions.md",
] as const;

const SKILL_FILE_BYTES_MAX = 1024 * 1024;
const FILES_MAX = 200;
const SKILLS_MAX = 1000;
const DEPTH_MAX = 4;

/** The skills below a skills folder: each folder with a SKILL.md, with all its files. Empty when there is none. */
export async function readSkillFolder(folder: string): Promise<DiscoveredSkill[]> {
  const found: DiscoveredSkill[] = [];
  await collectSkills(folder, DEPTH_MAX, found);
  return found;
}

export async function readRuleFile(path: string): Promise<DiscoveredSkill | undefined> {
  const read = await readBoundedText(path, SKILL_FILE_BYTES_MAX);
  if (read.status !== "read") return undefined;
  const file = { path, text: read.text };
  return { name: basename(path), kind: "rules", path, digest: digestOf([["", read.text]]), files: [file], opaque: [] };
}

async function collectSkills(folder: string, depth: number, found: DiscoveredSkill[]): Promise<void> {
  const entries = await list(folder);
  const hasSkill = entries.some((entry) => entry.name === "SKILL.md");
  if (hasSkill) {
    found.push(await readSkill(folder));
    return;
  }
  if (depth === 0) return;
  for (const entry of entries) {
    if (found.length >= SKILLS_MAX) return;
    if (entry.isDirectory()) await collectSkills(join(folder, entry.name), depth - 1, found);
  }
}

async function readSkill(folder: string): Promise<DiscoveredSkill> {
  const paths = await filesBelow(folder, DEPTH_MAX);
  const files: { path: string; text: string }[] = [];
  const opaque: string[] = paths.slice(FILES_MAX);
  const digested: [string, string][] = [];
  for (const path of paths.slice(0, FILES_MAX)) {
    const read = await readBoundedText(path, SKILL_FILE_BYTES_MAX);
    const name = relative(folder, path).replaceAll("\\", "/");
    if (read.status === "read") files.push({ path, text: read.text });
    else opaque.push(path);
    digested.push([name, read.status === "read" ? read.text : read.status]);
  }
  return { name: basename(folder), kind: "skill", path: folder, digest: digestOf(digested), files, opaque };
}

async function filesBelow(folder: string, depth: number): Promise<string[]> {
  const entries = (await list(folder)).toSorted((left, right) => (left.name < right.name ? -1 : 1));
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && depth > 0 && entry.name !== "node_modules" && entry.name !== ".git") {
      found.push(...(await filesBelow(path, depth - 1)));
    } else if (!entry.isDirectory()) found.push(path);
    if (found.length > FILES_MAX * 2) break;
  }
  return found;
}

function digestOf(files: readonly (readonly [string, string])[]): string {
  const hash = createHash("sha256");
  for (const [name, text] of files) hash.update(`${name}\0${createHash("sha256").update(text).digest("hex")}\n`);
  return `sha256:${hash.digest("hex")}`;
}

async function list(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) !== "") return [];
    throw error;
  }
}
