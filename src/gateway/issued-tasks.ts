import type { HandleScope } from "./seal.ts";

/** Which tool a task belongs to, for each task that an upstream gave to an agent. Bounded: the oldest are forgotten. */
export interface IssuedTasks {
  remember(scope: HandleScope, taskId: string, tool: string): void;
  toolOf(scope: HandleScope, taskId: string): string | undefined;
}

const TASKS_MAX = 50_000;

export function createIssuedTasks(): IssuedTasks {
  const tools = new Map<string, string>();
  return {
    remember(scope, taskId, tool) {
      const key = keyOf(scope, taskId);
      tools.delete(key);
      tools.set(key, tool);
      const [oldest] = tools.keys();
      if (tools.size > TASKS_MAX && oldest !== undefined) tools.delete(oldest);
    },
    toolOf: (scope, taskId) => tools.get(keyOf(scope, taskId)),
  };
}

function keyOf({ agentId, serverId }: HandleScope, taskId: string): string {
  return `${agentId} ${serverId} ${taskId}`;
}
