import { Exchange } from "./exchange.ts";

/** Marks the call that the client takes back. None where two go by that id, as they may without a session: it could be the other's. */
export function markCancelled({ context, scope, session }: Exchange, requestId: unknown): void {
  const named = context.exchanges
    .list()
    .filter((live) => live instanceof Exchange)
    .filter(
      (other) =>
        other.scope.agentId === scope.agentId &&
        other.scope.serverId === scope.serverId &&
        other.session?.id === session?.id &&
        other.pending?.facts.envelope.id === requestId,
    );
  const pending = named.length === 1 ? named[0]?.pending : undefined;
  if (pending !== undefined) pending.isCancelled = true;
}
