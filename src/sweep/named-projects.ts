import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { parseConfig } from "./parse-config.ts";
import { readBoundedText } from "./read-bounded.ts";
import { type HomeContext, resolvePlace } from "./resolve-places.ts";

/** Where clients write down which folders they have or had open: VS Code and what was made of it, Antigravity. */
const PLACES = ["{UD}/*/User/workspaceStorage/*/workspace.json", "~/.gemini/config/projects/*.json"] as const;

const FILE_BYTES_MAX = 64 * 1024;
const PROJECTS_MAX = 2000;
const LEVELS_MAX = 4;

/** Project folders that clients name in files of their own, in the home or outside. */
export async function namedProjects(context: HomeContext): Promise<string[]> {
  const found: string[] = [];
  for (const place of PLACES) {
    for (const path of await resolvePlace(place, context)) {
      const read = await readBoundedText(path, FILE_BYTES_MAX);
      const parsed = read.status === "read" ? parseConfig(read.text, "json") : undefined;
      if (parsed?.status === "parsed") collectFolders(parsed.value, found, LEVELS_MAX);
    }
  }
  return found;
}

/** Every `file:` address in a value, whatever the member is called; that of a workspace file is its folder. */
function collectFolders(value: unknown, found: string[], levels: number): void {
  if (found.length >= PROJECTS_MAX) return;
  const path = typeof value === "string" ? toPath(value) : undefined;
  if (path !== undefined) found.push(path.endsWith(".code-workspace") ? dirname(path) : path);
  if (levels === 0 || typeof value !== "object" || value === null) return;
  for (const member of Object.values(value)) collectFolders(member, found, levels - 1);
}

/** The path of a `file:` address of this machine; undefined for any other text, also one that only looks like one (`file:///a%2fb`). */
function toPath(text: string): string | undefined {
  if (!text.startsWith("file:///") || !URL.canParse(text)) return undefined;
  try {
    return fileURLToPath(text);
  } catch (error) {
    if (error instanceof TypeError || error instanceof URIError) return undefined;
    throw error;
  }
}
