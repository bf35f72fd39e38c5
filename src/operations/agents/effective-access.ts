import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import type { AgentView } from "../../snapshot/snapshot.ts";
import type { HandleContext } from "../context.ts";
import { assignedTools, checkAccess, currentRules } from "../policies/access-check.ts";
import { accessFields, showAccess } from "../policies/access-output.ts";

/** Tools of one server that an answer lists; the counts are of all. */
const TOOLS_SHOWN = 500;

export const EffectiveAccess = z
  .array(
    z.object({
      server: z.object({ id: z.string(), name: z.string() }),
      allowed: z.int(),
      denied: z.int(),
      approval: z.int(),
      conditional: z.int(),
      tools: z.array(z.object({ tool: z.string(), ...accessFields })),
    }),
  )
  .describe("What it may do with each known tool of its servers, with the deciding policies");

/** What the gateway would decide for an agent now, tool by tool. */
export function effectiveAccess(
  agent: Agent,
  { services, now }: Pick<HandleContext, "services" | "now">,
): z.output<typeof EffectiveAccess> {
  const snapshot = services.snapshot();
  const view = snapshot.agentById.get(agent.id);
  if (view === undefined) return [];
  return agent.assignments.flatMap(({ serverId }) => {
    const server = snapshot.serverById.get(serverId);
    if (server === undefined) return [];
    const answers = toolsOf(view, server).map((tool) => ({
      tool,
      ...showAccess(checkAccess({ agent: view, server, tool }, { snapshot, rules: currentRules(snapshot), now })),
    }));
    const count = (access: string): number => answers.filter((answer) => answer.access === access).length;
    return [
      {
        server: { id: server.server.id, name: server.server.name },
        allowed: count("allowed"),
        denied: count("denied"),
        approval: count("approval"),
        conditional: count("conditional"),
        tools: answers.slice(0, TOOLS_SHOWN),
      },
    ];
  });
}

function toolsOf(agent: AgentView, server: Parameters<typeof assignedTools>[1]): readonly string[] {
  return assignedTools(agent, server).toSorted();
}
