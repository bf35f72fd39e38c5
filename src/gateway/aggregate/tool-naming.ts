import type { SkillAsker } from "./skill-decision.ts";
import { CALL_TOOL, SEARCH_TOOLS } from "./tool-search.ts";
import { NAME_CHARACTERS_MAX, toToolName } from "./tool-names.ts";

/** How tools are called behind the one connection: `<server>__<tool>`, or by their own names where these are unique. */
export type ToolNames = "prefixed" | "plain";

interface KnownTool {
  readonly serverId: string;
  readonly tool: string;
}

/** What tools are called here. A prefixed name leads to its tool always. */
export interface ToolNaming {
  nameOf(tool: KnownTool): string;
  /** The prefixed name of the tool that a plain name stands for; any other name as it is. */
  prefixedOf(name: string): string;
}

const PREFIXED: Omit<ToolNaming, "nameOf"> = { prefixedOf: (name) => name };

/**
 * The server that was assigned first keeps a name that several have. What policies hide counts, too: otherwise a change of
 * policies could make a name mean another server's tool.
 */
export function createToolNaming({ agent, snapshot }: SkillAsker, names: ToolNames): ToolNaming {
  const prefixed = ({ serverId, tool }: KnownTool): string =>
    toToolName(snapshot.serverById.get(serverId)?.server.name ?? "", tool);
  if (names === "prefixed") return { ...PREFIXED, nameOf: prefixed };
  const owners = new Map<string, KnownTool>();
  for (const { serverId } of agent.agent.assignments)
    for (const tool of snapshot.serverById.get(serverId)?.toolByName.keys() ?? [])
      if (isFree(tool) && !owners.has(tool)) owners.set(tool, { serverId, tool });
  return {
    nameOf: (found) => (owners.get(found.tool)?.serverId === found.serverId ? found.tool : prefixed(found)),
    prefixedOf(name) {
      const owner = owners.get(name);
      return owner === undefined ? name : prefixed(owner);
    },
  };
}

/** Two underscores may be a prefix, of a server or of a skill. */
function isFree(name: string): boolean {
  return name.length <= NAME_CHARACTERS_MAX && !name.includes("__") && name !== SEARCH_TOOLS && name !== CALL_TOOL;
}
