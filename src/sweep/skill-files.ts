import { createHash } from "node:crypto";
import type { Dirent } from "node:fs";
import { readdir, realpath, stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { DiscoveredSkill } from "./facts.ts";
import { isBelow } from "./is-below.ts";
import { readBoundedText, unreadReason } from "./read-bounded.ts";
import type { OnUnread } from "./resolve-places.ts";

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

/** What a search for skills may follow, and whom it tells what it left out. */
export interface SkillSearch {
  /** Links that lead out of it are not followed. */
  readonly home: string;
  readonly onUnread: OnUnread;
}

/** The skills below a skills folder: each folder with a SKILL.md, with all its files. One at a time, for together they may be large. */
export async function* readSkillFolder(folder: string, search: SkillSearch): AsyncGenerator<DiscoveredSkill> {
  let left = SKILLS_MAX;
  const followed = new Set([await realpath(folder).catch(() => folder)]);
  for await (const path of skillFolders(folder, DEPTH_MAX, { ...search, followed })) {
    if (left === 0) {
      search.onUnread(folder, `more than ${String(SKILLS_MAX)} skills`);
      return;
    }
    left -= 1;
    yield await readSkill(path, search.onUnread);
  }
}

export async function readRuleFile(path: string, onUnread: OnUnread): Promise<DiscoveredSkill | undefined> {
  const read = await readBoundedText(path, SKILL_FILE_BYTES_MAX);
  if (read.status === "unreadable" || read.status === "malformed") onUnread(path, read.reason);
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

interface LinkSearch extends SkillSearch {
  /** Real paths of what links led to, each once: a circle of them would never end. */
  readonly followed: Set<string>;
}

async function* skillFolders(folder: string, depth: number, search: LinkSearch): AsyncGenerator<string> {
  const entries = await list(folder, search.onUnread);
  if (entries.some((entry) => entry.name === "SKILL.md")) yield folder;
  else if (depth > 0) {
    for (const entry of entries) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) yield* skillFolders(path, depth - 1, search);
      // An installer links a skill, or a folder of skills; what lies deeper behind a link is somebody's folder of other things.
      else if (entry.isSymbolicLink() && (await mayFollow(path, search)))
        yield* skillFolders(path, Math.min(depth - 1, 1), search);
    }
  }
}

async function mayFollow(link: string, { home, followed, onUnread }: LinkSearch): Promise<boolean> {
  try {
    const real = await realpath(link);
    if (!(await stat(real)).isDirectory() || followed.has(real)) return false;
    followed.add(real);
    const isInside = isBelow(real, await realpath(home));
    if (!isInside) onUnread(link, "a link out of the home");
    return isInside;
  } catch (error) {
    const reason = unreadReason(error);
    if (reason !== undefined) onUnread(link, reason);
    return false;
  }
}

async function readSkill(folder: string, onUnread: OnUnread): Promise<DiscoveredSkill> {
  const paths = await filesBelow(folder, DEPTH_MAX, onUnread);
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

async function filesBelow(folder: string, depth: number, onUnread: OnUnread): Promise<string[]> {
  const entries = await list(folder, onUnread);
  const found: string[] = [];
  for (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory() && depth > 0 && entry.name !== "node_modules" && entry.name !== ".git") {
      found.push(...(await filesBelow(path, depth - 1, onUnread)));
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

/** In one order: which of two links to a skill counts MUST NOT depend on the disk. */
async function list(folder: string, onUnread: OnUnread): Promise<Dirent[]> {
  try {
    const entries = await readdir(folder, { withFileTypes: true });
    return entries.toSorted((left, right) => (left.name < right.name ? -1 : 1));
  } catch (error) {
    const reason = unreadReason(error);
    if (reason !== undefined) onUnread(folder, reason);
    return [];
  }
}
