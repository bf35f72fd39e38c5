import { mentionKey } from "../domain/policy.ts";
import { isJsonObject } from "./json-tree.ts";
import { NAMESPACE } from "./schema.ts";

/**
 * Keys (`mentionKey`) of all that a policy names, wherever in it: what its scope and its exceptions name, and the servers
 * of the tools, resources and prompts that it names. `ast` is the JSON form of the Cedar text.
 */
export function mentionsOf(ast: unknown): readonly string[] {
  const found = new Set<string>();
  collect(ast, found);
  return [...found].toSorted();
}

function collect(node: unknown, found: Set<string>): void {
  if (Array.isArray(node)) {
    for (const item of node) collect(item, found);
    return;
  }
  if (!isJsonObject(node)) return;
  const { type, id } = node;
  const key = typeof type === "string" && typeof id === "string" ? keyOf(type, id) : undefined;
  if (key !== undefined) found.add(key);
  for (const member of Object.values(node)) collect(member, found);
}

const OBJECTS: ReadonlySet<string> = new Set(["Agent", "Member", "Group", "Server", "ServerGroup", "Skill"]);
const ITEMS: ReadonlySet<string> = new Set(["Tool", "Resource", "Prompt"]);

function keyOf(type: string, id: string): string | undefined {
  const kind = type.startsWith(`${NAMESPACE}::`) ? type.slice(NAMESPACE.length + 2) : "";
  if (OBJECTS.has(kind)) return mentionKey("object", id);
  if (ITEMS.has(kind)) return mentionKey("object", id.split("/", 1)[0] ?? id);
  if (kind === "Role") return mentionKey("role", id);
  return kind === "AgentType" ? mentionKey("agentType", id) : undefined;
}
