import { realpath } from "node:fs/promises";
import { homedir, userInfo } from "node:os";
import { basename, resolve } from "node:path";
import type { Platform } from "./client-definition.ts";
import type { HomeContext } from "./resolve-places.ts";

/** The platform of this machine; what is none of the three keeps its files as Linux does. */
export function platformName(): Platform {
  return process.platform === "darwin" || process.platform === "win32" ? process.platform : "linux";
}

/** A home of this machine: another person's variables are not known here, and this account's do not move their files. */
export function homeContext(home: string, root = "/"): HomeContext {
  return { home, platform: platformName(), root, env: home === homedir() ? process.env : {} };
}

/** Whose home it is, as far as its path tells. */
export function userOfHome(home: string): string {
  return home === homedir() ? userInfo().username : basename(home);
}

/**
 * The absolute paths, each once, in the order in which they MUST be read when they share what was seen: a home before the projects in it, so that
 * these count as its.
 */
export async function outermostFirst(paths: readonly string[]): Promise<string[]> {
  const found = [...new Set(paths.map((path) => resolve(path)))];
  const real = await Promise.all(found.map((path) => realpath(path).catch(() => path)));
  const lengths = new Map(found.map((path, index) => [path, real[index]?.length ?? 0]));
  return found.toSorted((left, right) => (lengths.get(left) ?? 0) - (lengths.get(right) ?? 0));
}
