import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "./read-bounded.ts";

/** How far a walk goes. What it leaves out is said in its answer. */
export interface WalkLimits {
  readonly depthMax: number;
  readonly entriesMax: number;
  readonly timeMs: number;
  readonly signal?: AbortSignal | undefined;
}

export const WALK_LIMITS = { depthMax: 8, entriesMax: 1_000_000, timeMs: 20_000 };

export interface WalkAnswer {
  /** Folders that hold at least one of the wanted names. */
  readonly projects: readonly string[];
  readonly foldersRead: number;
  readonly denied: readonly string[];
  readonly stoppedBy?: "depth" | "entries" | "time" | "signal" | undefined;
}

/** Folders without projects, and large: caches, packages, version control, the operating system's own. */
const SKIPPED = new Set(
  "node_modules .git .hg .svn .cache .npm .cargo .rustup .gradle .m2 .venv venv __pycache__ .Trash Library AppData Caches proc sys dev .local .nvm .pyenv .rbenv .vscode-server vendor target dist .terraform".split(
    " ",
  ),
);
const FOLDERS_AT_ONCE = 24;

/** Finds the project folders below a home. Never follows a link, so it cannot leave the home or go in circles. */
export async function walkHome(home: string, wanted: ReadonlySet<string>, limits: WalkLimits): Promise<WalkAnswer> {
  const walk = new Walk(wanted, limits);
  let level = [home];
  for (let depth = 0; level.length > 0 && walk.stoppedBy === undefined; depth += 1) {
    if (depth > limits.depthMax) {
      walk.stoppedBy = "depth";
      break;
    }
    const next: string[] = [];
    for (let from = 0; from < level.length && !walk.isOver(); from += FOLDERS_AT_ONCE) {
      const batch = level.slice(from, from + FOLDERS_AT_ONCE);
      const inner = await Promise.all(batch.map((folder) => walk.read(folder)));
      for (const folders of inner) next.push(...folders);
    }
    level = next;
  }
  const { projects, foldersRead, denied, stoppedBy } = walk;
  return { projects, foldersRead, denied, stoppedBy };
}

class Walk {
  readonly projects: string[] = [];
  readonly denied: string[] = [];
  foldersRead = 0;
  stoppedBy: WalkAnswer["stoppedBy"] = undefined;
  #entries = 0;
  readonly #deadline: number;
  readonly #wanted: ReadonlySet<string>;
  readonly #limits: WalkLimits;

  constructor(wanted: ReadonlySet<string>, limits: WalkLimits) {
    this.#wanted = wanted;
    this.#limits = limits;
    this.#deadline = performance.now() + limits.timeMs;
  }

  isOver(): boolean {
    if (this.#entries > this.#limits.entriesMax) this.stoppedBy = "entries";
    if (performance.now() > this.#deadline) this.stoppedBy = "time";
    if (this.#limits.signal?.aborted === true) this.stoppedBy = "signal";
    return this.stoppedBy !== undefined;
  }

  async read(folder: string): Promise<string[]> {
    const entries = await this.#list(folder);
    this.#entries += entries.length;
    if (entries.some(({ name }) => this.#wanted.has(name) || name.endsWith(".code-workspace")))
      this.projects.push(folder);
    return entries
      .filter((entry) => entry.isDirectory() && !SKIPPED.has(entry.name) && !this.#wanted.has(entry.name))
      .map((entry) => join(folder, entry.name));
  }

  async #list(folder: string) {
    try {
      const entries = await readdir(folder, { withFileTypes: true });
      this.foldersRead += 1;
      return entries;
    } catch (error) {
      const code = errorCode(error);
      if (code === "EACCES" || code === "EPERM") this.denied.push(folder);
      else if (code === "") throw error;
      return [];
    }
  }
}
