import type { RpcId } from "./envelope/envelope.ts";
import type { HandleScope } from "./seal.ts";

/** A request of an upstream that was passed to a client and waits for its answer. */
export interface ServerRequest extends HandleScope {
  readonly sessionId: string | undefined;
  readonly id: RpcId;
  readonly method: string;
  /** Id of the staged decision; undefined where the request is not recorded. */
  readonly decisionId: string | undefined;
  readonly startedAt: number;
}

type RequestKey = Pick<ServerRequest, "agentId" | "serverId" | "sessionId" | "id">;

/** Requests in the other direction. An answer that fits none is not passed on: nobody asked for it, or somebody else. */
export interface ServerRequests {
  add(request: ServerRequest): void;
  take(key: RequestKey): ServerRequest | undefined;
  /** Removes and gives those that are older, or that match. */
  takeWhere(matches: (request: ServerRequest) => boolean): readonly ServerRequest[];
}

/** An upstream that floods an agent with questions loses the oldest, and no other agent does. */
const REQUESTS_PER_AGENT_MAX = 1000;

export function createServerRequests(onForgotten: (request: ServerRequest) => void): ServerRequests {
  const waiting = new Map<string, Map<string, ServerRequest>>();
  const take = ({ agentId, serverId, sessionId, id }: RequestKey): ServerRequest | undefined => {
    const own = waiting.get(agentId);
    const key = keyOf({ agentId, serverId, sessionId, id });
    const found = own?.get(key);
    own?.delete(key);
    if (own?.size === 0) waiting.delete(agentId);
    return found;
  };
  return {
    add(request) {
      const replaced = take(request);
      if (replaced !== undefined) onForgotten(replaced);
      const own = waiting.get(request.agentId) ?? new Map<string, ServerRequest>();
      waiting.set(request.agentId, own.set(keyOf(request), request));
      const [oldest] = own.values();
      const dropped = own.size > REQUESTS_PER_AGENT_MAX && oldest !== undefined ? take(oldest) : undefined;
      if (dropped !== undefined) onForgotten(dropped);
    },
    take,
    takeWhere(matches) {
      const all = [...waiting.values()].flatMap((own) => [...own.values()]);
      return all.filter(matches).flatMap((request) => take(request) ?? []);
    },
  };
}

function keyOf({ serverId, sessionId, id }: RequestKey): string {
  return `${serverId} ${sessionId ?? ""} ${JSON.stringify(id)}`;
}
