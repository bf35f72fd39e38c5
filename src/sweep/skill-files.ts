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
/** Of one skill; what goes beyond is told by the digest alone. */
const SKILL_CHARACTERS_MAX = 8 * 1024 * 1024;
const DEPTH_MAX = 4;

/** The skills below a skills folder: each folder with a SKILL.md, with all its files. One at a time, for together they may be large. */
export async function* readSkillFolder(folder: string): AsyncGenerator<DiscoveredSkill> {
  let left = SKILLS_MAX;
  for await (const path of skillFolders(folder, DEPTH_MAX)) {
    if (left === 0) return;
    left -= 1;
    yield await readSkill(path);
  }
}

export async function readRuleFile(path: string): Promise<DiscoveredSkill | undefined> {
  const read = await readBoundedText(path, SKILL_FILE_BYTES_MAX);
  if (read.status !== "read") return undefined;
  const file = { path, text: read.text };
  return {
    name: basename(path),
    kind: "rules",
    path,
    digest: digestOf([["", sha256(read.text)]]),
    files: [file],
    opaque: [],
  };
}

async function* skillFolders(folder: string, depth: number): AsyncGenerator<string> {
  const entries = await list(folder);
  if (entries.some((entry) => entry.name === "SKILL.md")) yield folder;
  else if (depth > 0) {
    for (const entry of entries) if (entry.isDirectory()) yield* skillFolders(join(folder, entry.name), depth - 1);
  }
}

async function readSkill(folder: string): Promise<DiscoveredSkill> {
  const paths = await filesBelow(folder, DEPTH_MAX);
  const files: { path: string; text: string }[] = [];
  const opaque: string[] = paths.slice(FILES_MAX);
  const digested: [string, string][] = [];
  let left = SKILL_CHARACTERS_MAX;
  for (const path of paths.slice(0, FILES_MAX)) {
    const read = await readBoundedText(path, SKILL_FILE_BYTES_MAX);
    const name = relative(folder, path).replaceAll("\\", "/");
    const text = read.status === "read" ? read.text : undefined;
    left -= text?.length ?? 0;
    if (text !== undefined && left >= 0) files.push({ path, text });
    else opaque.push(path);
    digested.push([name, sha256(text ?? read.status)]);
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

/** Of names and the hashes of what stands under them. */
function digestOf(files: readonly (readonly [string, string])[]): string {
  const hash = createHash("sha256");
  for (const [name, content] of files) hash.update(`${name}\0${content}\n`);
  return `sha256:${hash.digest("hex")}`;
}

function sha256(text: string): string {
  return createHash("sha256").update(text).digest("hex");
}

async function list(folder: string): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    if (errorCode(error) !== "") return [];
    throw error;
  }
}
