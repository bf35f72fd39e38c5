import type { ApprovalSetting } from "./approval-settings.ts";
import type { LooseApproval } from "./facts.ts";
import { createLineFinder } from "./line-finder.ts";
import { parseConfig } from "./parse-config.ts";
import { readBoundedText } from "./read-bounded.ts";
import { membersAt } from "./server-entries.ts";

/** A setting that lets tools run without a question, where this file has it so. A file that cannot be read is told of with its servers. */
export async function readApproval(
  { client, format, key, isLoose, what }: ApprovalSetting,
  path: string,
): Promise<LooseApproval | undefined> {
  const read = await readBoundedText(path);
  const parsed = read.status === "read" ? parseConfig(read.text, format) : undefined;
  if (read.status !== "read" || parsed?.status !== "parsed") return undefined;
  if (!membersAt(parsed.value, key).some(isLoose)) return undefined;
  const last = key.slice(key.lastIndexOf(".") + 1);
  const find = createLineFinder(read.text);
  const line = find(key) ?? find(last);
  return { client, path, line, key, what };
}
