import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readVariable } from "../lib/read-variable.ts";
import type { Platform } from "./client-definition.ts";
import { unreadReason } from "./read-bounded.ts";

/** Whose files are looked at. */
export interface HomeContext {
  readonly home: string;
  readonly platform: Platform;
  /** What absolute paths start at: `/`, or a folder that stands for another machine's root. */
  readonly root: string;
  /** Variables that move files; empty for another person's home, where they are not known. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Ends a search that takes too long; who set it MUST say that not all was found. */
  readonly signal?: AbortSignal | undefined;
  /** Told of each folder that is there and could not be listed, or not in full. */
  readonly onUnread?: OnUnread | undefined;
}

export type OnUnread = (path: string, reason: string) => void;

const DEEP_LEVELS_MAX = 6;
const MATCHES_MAX = 2000;

/** The paths on disk that a table path means in this home; without wildcards the path itself, whether or not it exists. */
export async function resolvePlace(path: string, context: HomeContext): Promise<string[]> {
  const absolute = expandBase(path, context);
  return absolute === undefined ? [] : expandWildcards(absolute, context);
}

/** The paths that a project-relative table path means in one project. */
export function resolveInProject(path: string, project: string, onUnread?: OnUnread): Promise<string[]> {
  return expandWildcards(join(project, path), { onUnread });
}

export function isProjectPath(path: string): boolean {
  return !/^(?:~|\{|\/)/.test(path);
}

function expandBase(path: string, context: HomeContext): string | undefined {
  const [head, rest] = splitHead(path);
  const isWindows = context.platform === "win32";
  if (head === "~") return join(context.home, rest);
  if (head === "") return isWindows ? undefined : join(context.root, rest);
  if (head === "{UD}" && context.platform === "darwin") return join(context.home, "Library/Application Support", rest);
  if (head === "{UD}" || head === "{CFG}") return join(isWindows ? roamingOf(context) : configOf(context), rest);
  return isWindows ? join(programFolder(head, context), rest) : undefined;
}

function roamingOf({ home, env }: HomeContext): string {
  return readVariable(env, "APPDATA") ?? join(home, "AppData", "Roaming");
}

function configOf({ home, env }: HomeContext): string {
  return readVariable(env, "XDG_CONFIG_HOME") ?? join(home, ".config");
}

function programFolder(head: string, { env, root }: HomeContext): string {
  if (head === "{PROGRAMFILES}") return readVariable(env, "ProgramFiles") ?? join(root, "Program Files");
  return readVariable(env, "ProgramData") ?? join(root, "ProgramData");
}

function splitHead(path: string): [string, string] {
  const slash = path.indexOf("/");
  return slash < 0 ? [path, ""] : [path.slice(0, slash), path.slice(slash + 1)];
}

async function expandWildcards(
  path: string,
  { signal, onUnread }: Pick<HomeContext, "signal" | "onUnread">,
): Promise<string[]> {
  const segments = path.split(/[\\/]/);
  const first = segments.findIndex((segment) => segment.includes("*"));
  if (first < 0) return [path];
  const base = segments.slice(0, first).join("/") || "/";
  const found: string[] = [];
  await expand(base, segments.slice(first), { found, signal, onUnread });
  if (found.length >= MATCHES_MAX) onUnread?.(base, `more than ${String(MATCHES_MAX)} places for one client`);
  return found;
}

interface Search {
  readonly found: string[];
  readonly signal: AbortSignal | undefined;
  readonly onUnread: OnUnread | undefined;
}

async function expand(folder: string, segments: readonly string[], search: Search): Promise<void> {
  const [segment, ...rest] = segments;
  if (isOver(search)) return;
  if (segment === undefined) {
    search.found.push(folder);
    return;
  }
  if (segment === "**") return expandDeep({ ...search, folder, rest }, DEEP_LEVELS_MAX);
  if (!segment.includes("*")) return expand(join(folder, segment), rest, search);
  const pattern = wildcardPattern(segment);
  for (const entry of await listFolder(folder, search)) {
    if (pattern.test(entry.name)) await expand(join(folder, entry.name), rest, search);
  }
}

function isOver({ found, signal }: Search): boolean {
  return found.length >= MATCHES_MAX || signal?.aborted === true;
}

interface DeepSearch extends Search {
  readonly folder: string;
  readonly rest: readonly string[];
}

async function expandDeep(search: DeepSearch, levels: number): Promise<void> {
  const { folder, rest } = search;
  const [name = ""] = rest;
  if (isOver(search)) return;
  const entries = await listFolder(folder, search);
  if (entries.some((entry) => entry.name === name)) await expand(folder, rest, search);
  if (levels === 0) return;
  for (const entry of entries) {
    // Links are not followed: a circle of them would never end.
    if (entry.isDirectory() && entry.name !== "node_modules") {
      await expandDeep({ ...search, folder: join(folder, entry.name) }, levels - 1);
    }
  }
}

async function listFolder(folder: string, { onUnread }: Search) {
  try {
    return await readdir(folder, { withFileTypes: true });
  } catch (error) {
    const reason = unreadReason(error);
    if (reason !== undefined) onUnread?.(folder, reason);
    return [];
  }
}

function wildcardPattern(segment: string): RegExp {
  return new RegExp(
    `^${segment
      .split("*")
      .map((part) => part.replaceAll(/[.+?^${}()|[\]\\]/g, "\\$&"))
      .join("[^/]*")}$`,
  );
}
