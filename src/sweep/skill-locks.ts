import { join } from "node:path";
import { parseConfig } from "./parse-config.ts";
import { readBoundedText } from "./read-bounded.ts";
import { isMembers } from "./server-entries.ts";
import { visible } from "./server-rules.ts";

/** Where skills were installed from, by name, as the lock files of the `skills` installer have it. */
export async function readSkillLock(path: string): Promise<ReadonlyMap<string, string>> {
  const read = await readBoundedText(path, LOCK_BYTES_MAX);
  const parsed = read.status === "read" ? parseConfig(read.text, "json") : undefined;
  const skills = parsed?.status === "parsed" && isMembers(parsed.value) ? parsed.value["skills"] : undefined;
  if (!isMembers(skills)) return new Map();
  const known = Object.entries(skills).flatMap(([name, entry]) => {
    const source = isMembers(entry) ? entry["source"] : undefined;
    return typeof source === "string" && source !== "" ? [[name, visible(source)] as const] : [];
  });
  return new Map(known);
}

const LOCK_BYTES_MAX = 1024 * 1024;

/** The lock file of a project. */
export function projectLock(project: string): string {
  return join(project, "skills-lock.json");
}
