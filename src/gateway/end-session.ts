import type { AccessRefusal } from "./access.ts";
import type { GatewayContext } from "./context.ts";
import { Exchange } from "./exchange.ts";
import { sendIgnoringAnswer } from "./ignored-answer.ts";
import type { Session } from "./sessions.ts";
import { recordEnd } from "./upkeep.ts";

const ENDED: AccessRefusal = {
  status: 404,
  code: "session_ended",
  message: "an administrator of this gateway ended this session; start a new one with `initialize`",
};

export const ENDED_BY_ADMINISTRATOR = "ended_by_administrator";

/** Ends a session with one server at once: what is in flight on it, its streams, and at the server. False where there is none. */
export function endSessionById(context: GatewayContext, id: string): boolean {
  const session = context.sessions.list().find((one) => one.id === id);
  if (session === undefined) return false;
  context.sessions.end(session);
  for (const exchange of context.exchanges.list()) {
    if (exchange instanceof Exchange && exchange.session === session) exchange.forbid(ENDED);
  }
  tellUpstream(context, session);
  recordEnd(context, session, { reason: ENDED_BY_ADMINISTRATOR });
  return true;
}

/** Nobody waits for what the server says to it: for the agent the session has ended. */
function tellUpstream(context: GatewayContext, session: Session): void {
  const server = context.liveView.current.serverById.get(session.serverId);
  if (server === undefined) return;
  const upstream = context.upstreams.of(server, session);
  const headers = ["mcp-session-id", session.upstreamId];
  sendIgnoringAnswer(upstream, { method: "DELETE", headers }, (fault) => {
    if (fault !== undefined) context.onProblem(`server \`${server.server.name}\`: ${fault.text}`, fault.cause);
  });
}
