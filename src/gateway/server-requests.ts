import type { RpcId } from "./envelope/envelope.ts";
import type { HandleScope } from "./seal.ts";

/** A request of an upstream that was passed to a client and waits for its answer. */
export interface ServerRequest extends HandleScope {
  readonly sessionId: string | undefined;
  readonly id: RpcId;
  /** Id of the staged decision; undefined where the request is not recorded. */
  readonly decisionId: string | undefined;
  readonly startedAt: number;
}

/** Requests in the other direction. An answer that fits none is not passed on: it would be an answer to somebody else. */
export interface ServerRequests {
  add(request: ServerRequest): void;
  take(key: Pick<ServerRequest, "agentId" | "serverId" | "sessionId" | "id">): ServerRequest | undefined;
  /** Removes and gives those that are older, or that match. */
  takeWhere(matches: (request: ServerRequest) => boolean): readonly ServerRequest[];
}

/** An upstream that floods a client with questions loses the oldest. */
const REQUESTS_MAX = 10_000;

export function createServerRequests(onForgotten: (request: ServerRequest) => void): ServerRequests {
  const waiting = new Map<string, ServerRequest>();
  const keyOf = ({ agentId, serverId, sessionId, id }: Parameters<ServerRequests["take"]>[0]): string =>
    `${agentId} ${serverId} ${sessionId ?? ""} ${JSON.stringify(id)}`;
  const remove = (key: string): ServerRequest | undefined => {
    const found = waiting.get(key);
    waiting.delete(key);
    return found;
  };
  return {
    add(request) {
      const key = keyOf(request);
      const replaced = remove(key);
      if (replaced !== undefined) onForgotten(replaced);
      waiting.set(key, request);
      const [oldest] = waiting.keys();
      const dropped = waiting.size > REQUESTS_MAX && oldest !== undefined ? remove(oldest) : undefined;
      if (dropped !== undefined) onForgotten(dropped);
    },
    take: (key) => remove(keyOf(key)),
    takeWhere(matches) {
      const found = [...waiting].filter(([, request]) => matches(request));
      for (const [key] of found) waiting.delete(key);
      return found.map(([, request]) => request);
    },
  };
}
