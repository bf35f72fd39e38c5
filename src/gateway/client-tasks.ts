import { createLruCache, type LruCache } from "../lib/lru-cache.ts";
import type { HandleScope } from "./seal.ts";

/** The session that a client runs a task in; undefined where its server gives none. */
export interface ClientTaskScope extends HandleScope {
  readonly sessionId: string | undefined;
}

/**
 * Tasks that clients run for upstreams (2025-11-25: deferred sampling and elicitation), under the ids that the clients gave them.
 * Bounded: an agent that names too many loses those that nobody named for longest, and no other agent does.
 */
export interface ClientTasks {
  remember(scope: ClientTaskScope, taskId: string): void;
  has(scope: ClientTaskScope, taskId: string): boolean;
}

const TASKS_PER_AGENT_MAX = 1000;
/** Agents with such tasks are few; together they hold some 100 MB at most. */
const AGENTS_MAX = 500;
/** Longer than any id seen. One beyond it is not remembered, so that the bounds hold in bytes too. */
const ID_CHARACTERS_MAX = 256;

export function createClientTasks(): ClientTasks {
  const byAgent = createLruCache<LruCache<true>>(AGENTS_MAX);
  return {
    remember(scope, taskId) {
      if (taskId.length > ID_CHARACTERS_MAX) return;
      const own = byAgent.get(scope.agentId) ?? createLruCache<true>(TASKS_PER_AGENT_MAX);
      own.set(keyOf(scope, taskId), true);
      byAgent.set(scope.agentId, own);
    },
    has: (scope, taskId) => byAgent.get(scope.agentId)?.get(keyOf(scope, taskId)) === true,
  };
}

function keyOf({ serverId, sessionId = "" }: ClientTaskScope, taskId: string): string {
  return `${serverId} ${sessionId} ${taskId}`;
}
