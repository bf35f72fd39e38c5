import { Exchange } from "./exchange.ts";

/** Marks the call that the client takes back. None without a session: two clients of an agent may both have one by that id. */
export function markCancelled({ context, scope, session }: Exchange, requestId: unknown): void {
  if (session === undefined) return;
  context.suspended.settleWhere(
    (suspended) => suspended.sessionId === session.id && suspended.call.facts.envelope.id === requestId,
    "client_cancelled",
  );
  const named = context.exchanges
    .list()
    .filter((live) => live instanceof Exchange)
    .filter(
      (other) =>
        other.scope.agentId === scope.agentId &&
        other.scope.serverId === scope.serverId &&
        other.session?.id === session.id &&
        other.pending?.facts.envelope.id === requestId,
    );
  const pending = named.length === 1 ? named[0]?.pending : undefined;
  if (pending !== undefined) pending.isCancelled = true;
}
