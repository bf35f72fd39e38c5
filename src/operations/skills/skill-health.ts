import type { HealthState, ServerStatus, ServerTool } from "../../domain/server.ts";
import type { Skill, SkillContent, SkillServer, SkillStatus, SkillVersionState } from "../../domain/skill.ts";
import type { Repositories } from "../../store/ports.ts";

/** A server that a skill needs, as it is now. */
export interface NeededServer extends SkillServer {
  readonly isRegistered: boolean;
  readonly status?: ServerStatus | undefined;
  readonly health?: HealthState | undefined;
  readonly missingTools: readonly string[];
}

export async function neededServers(
  content: SkillContent,
  { servers }: Repositories,
): Promise<readonly NeededServer[]> {
  return Promise.all(
    content.servers.map(async (needed): Promise<NeededServer> => {
      const server = await servers.find(needed.id);
      if (server === undefined) return { ...needed, isRegistered: false, missingTools: [] };
      const declared = declaredTools(content, needed.name);
      const missingTools = declared.length === 0 ? [] : findMissing(declared, await servers.tools(server.id));
      return { ...needed, isRegistered: true, status: server.status, health: server.health.state, missingTools };
    }),
  );
}

/** Whether everything is there that the skill needs, as far as the registry knows. */
export function statusOf(
  { servingVersion }: Skill,
  state: SkillVersionState,
  needed: readonly NeededServer[],
): SkillStatus {
  if (servingVersion === null) return state === "blocked" ? "blocked" : "pending";
  const isWhole = needed.every(
    ({ isRegistered, status, missingTools }) => isRegistered && status === "active" && missingTools.length === 0,
  );
  return isWhole ? "active" : "degraded";
}

/** The tools that are declared by their exact name and can only be this server's. */
function declaredTools({ tools = [], servers }: SkillContent, server: string): string[] {
  return tools.flatMap((tool) => {
    if (tool.includes("*")) return [];
    const slash = tool.indexOf("/");
    if (slash === -1) return servers.length === 1 ? [tool] : [];
    return tool.slice(0, slash) === server ? [tool.slice(slash + 1)] : [];
  });
}

/** A server that was never listed is not known to lack anything. */
function findMissing(declared: readonly string[], known: readonly ServerTool[]): string[] {
  if (known.length === 0) return [];
  const usable = new Set(known.filter(({ state }) => state !== "changed").map(({ name }) => name));
  return declared.filter((tool) => !usable.has(tool));
}
