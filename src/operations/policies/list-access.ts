import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import type { AgentView, ServerView } from "../../snapshot/snapshot.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, RefField, text, toPageAnswer, toPageRequest } from "../fields.ts";
import { assignedTools, checkAccess, currentRules } from "./access-check.ts";
import { accessFields, showAccess } from "./access-output.ts";
import { requireServerView } from "./access-views.ts";

/** Tools that are answered for one agent. */
const TOOLS_SHOWN = 200;

/** Who has access to a server or a tool, and by which rule. */
export const listAccess = defineOperation({
  name: "list_access",
  title: "List access",
  description:
    "Lists the agents that are assigned to a server with what each may do with its tools, or with one tool, and which policy says so: the access review of a server. Agents that may do nothing are listed too, with the reason.",
  route: "GET /access",
  command: "access list",
  roles: READERS,
  effect: "read",
  input: z.object({
    server: RefField.describe("Server, by id or name"),
    tool: text(512).min(1).optional().describe("Only this tool; all known tools unless given"),
    ...pageInput,
  }),
  output: pageOutput(
    z.object({
      agent: z.object({ id: z.string(), name: z.string() }),
      hasAccess: z.boolean().describe("Whether it may use at least one of the tools, if only after an approval"),
      tools: z.array(z.object({ tool: z.string(), ...accessFields })),
    }),
  ),
  async handle(input, context) {
    const { repositories, services, now } = context;
    const server = await requireServerView(input.server, context);
    const snapshot = services.snapshot();
    const page = await repositories.agents.list({ serverId: server.server.id }, toPageRequest(input));
    const check = (agent: AgentView, tool: string) =>
      checkAccess({ agent, server, tool }, { snapshot, rules: currentRules(snapshot), now });
    return toPageAnswer(page, ({ id, name }) => {
      const view = snapshot.agentById.get(id);
      const tools = view === undefined ? [] : toolsOf(view, server, input.tool);
      const answers = tools.flatMap((tool) => (view === undefined ? [] : [{ tool, ...showAccess(check(view, tool)) }]));
      return {
        agent: { id, name },
        hasAccess: answers.some(({ access }) => access !== "denied"),
        tools: answers.slice(0, TOOLS_SHOWN),
      };
    });
  },
  summarize: ({ items, total }) =>
    `${items.filter(({ hasAccess }) => hasAccess).length} of ${items.length} shown agents have access; ${total} are assigned.`,
});

function toolsOf(agent: AgentView, server: ServerView, tool: string | undefined): readonly string[] {
  return tool === undefined ? assignedTools(agent, server).toSorted() : [tool];
}
