import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import type { Page, PageRequest } from "../../lib/paging.ts";
import { getVisibleAgent } from "../agents/visible-agent.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { getVisibleServer } from "../servers/visible-server.ts";
import type { LiveSession } from "../services.ts";
import { SessionOutput, showSession } from "./session-output.ts";

/** Who is connected now. */
export const listSessions = defineOperation({
  name: "list_sessions",
  title: "List sessions",
  description:
    "Lists the agents' open MCP sessions on the gateway: agent, server, key, client, when opened and last used, oldest first. Clients of 2026-07-28 have no sessions. A member sees those of its own agents; end_session ends one.",
  route: "GET /sessions",
  command: "sessions list",
  roles: [...READERS, "member"],
  effect: "read",
  input: z.object({
    agent: RefField.optional().describe("Only of this agent, by id or name"),
    server: RefField.optional().describe("Only with this server, by id or name"),
    ...pageInput,
  }),
  output: pageOutput(SessionOutput),
  async handle(input, context) {
    const { services } = context;
    const agentId = input.agent === undefined ? undefined : (await getVisibleAgent(input.agent, context)).id;
    const serverId = input.server === undefined ? undefined : (await getVisibleServer(input.server, context)).id;
    const snapshot = services.snapshot();
    const sessions = services.sessions
      .list()
      .filter((session) => isVisible(session, context))
      .filter((session) => agentId === undefined || session.agentId === agentId)
      .filter((session) => serverId === undefined || session.serverId === serverId);
    return toPageAnswer(pageOf(sessions, toPageRequest(input)), (session) => showSession(session, snapshot));
  },
  summarize: ({ items, total }) => `${items.length} of ${total} sessions.`,
});

function isVisible({ agentId }: LiveSession, { caller, services }: HandleContext): boolean {
  if (caller.role !== "member") return true;
  const owner = services.snapshot().agentById.get(agentId)?.agent.owner;
  return caller.memberId !== null && owner === caller.memberId;
}

/** In the order of opening: ids are UUIDv7. */
function pageOf(sessions: readonly LiveSession[], { limit, after = "" }: PageRequest): Page<LiveSession> {
  const sorted = sessions.toSorted((left, right) => (left.id < right.id ? -1 : 1));
  const rest = sorted.filter(({ id }) => id > after);
  const items = rest.slice(0, limit);
  return { items, total: sorted.length, next: rest.length > limit ? items.at(-1)?.id : undefined };
}
