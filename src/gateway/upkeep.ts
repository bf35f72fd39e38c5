import type { Snapshot } from "../snapshot/snapshot.ts";
import type { GatewayContext } from "./context.ts";
import { keepAlive } from "./event-stream.ts";
import { Exchange } from "./exchange.ts";
import { toDraft } from "./record.ts";
import type { Session } from "./sessions.ts";

const TICK_MS = 5000;
/** After so long without a message a session is taken as ended; its client may still come back. */
const SESSION_IDLE_MS = 60 * 60_000;
/** A question to a client, or an answer on a resumed stream, that did not come by then is given up. */
const UNANSWERED_MS = 10 * 60_000;

/** What time alone brings about: expiry, idleness, questions without an answer. Gives a function that stops it. */
export function startUpkeep(context: GatewayContext): () => void {
  const timer = setInterval(() => tick(context), TICK_MS).unref();
  const comments = setInterval(() => {
    for (const exchange of context.exchanges.list()) if (exchange instanceof Exchange) keepAlive(exchange);
  }, context.limits.quietStreamMs).unref();
  return () => {
    clearInterval(timer);
    clearInterval(comments);
  };
}

function tick(context: GatewayContext): void {
  const now = context.clock.now();
  context.exchanges.enforce(context.liveView.current, now);
  context.continuations.expire(now);
  // Whoever stands by for a call waits for it.
  for (const exchange of context.exchanges.list())
    if (exchange instanceof Exchange && exchange.callKey !== undefined) context.suspended.touch(exchange.callKey, now);
  for (const calls of [context.suspended, context.answered]) calls.expire(now - UNANSWERED_MS);
  for (const { decisionId, startedAt } of context.serverRequests.takeWhere(
    (asked) => asked.startedAt < now - UNANSWERED_MS,
  ))
    if (decisionId !== undefined)
      context.audit.settle(decisionId, { outcome: "error", durationMs: now - startedAt, reason: "no_answer" });
  // A stream that stands open is a session in use, however silent.
  const used = new Set(
    context.exchanges.list().map((exchange) => (exchange instanceof Exchange ? exchange.session : undefined)),
  );
  for (const session of used) if (session !== undefined) session.lastSeenAt = now;
  for (const session of context.sessions.takeIdle(now - SESSION_IDLE_MS))
    recordEnd(context, session, { reason: "idle" });
}

interface SessionEnd {
  readonly reason: string;
  /** Where the agent and the server are known; as of now, unless told. */
  readonly snapshot?: Snapshot | undefined;
}

/** The end of a session that no message of its client brought about. */
export function recordEnd(
  context: GatewayContext,
  session: Session,
  { reason, snapshot = context.liveView.current }: SessionEnd,
): void {
  context.suspended.endSession(session.id);
  const agent = snapshot.agentById.get(session.agentId)?.agent;
  const server = snapshot.serverById.get(session.serverId)?.server;
  if (agent === undefined || server === undefined) return;
  const now = context.clock.now();
  const subject = { snapshot, agent, server, ip: undefined, client: session.client };
  const draft = toDraft(subject, { event: "session.end", time: now, sessionId: session.id, details: { reason } });
  context.audit.post({ ...draft, outcome: "success", durationMs: now - session.openedAt });
}
