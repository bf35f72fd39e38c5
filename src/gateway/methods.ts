import type { Action } from "../domain/policy.ts";

/** Which part of `params` names the thing that is acted on. */
type TargetKind = "tool" | "prompt" | "resource" | "reference" | "task" | "subscription" | "server";

/** Lists whose entries are filtered on their way back. */
export type ListKind = "tools" | "prompts" | "resources" | "resourceTemplates" | "tasks";

export interface MethodRule {
  readonly action: Action;
  readonly target: TargetKind;
  /** The action of the audit event; without it only a denial is recorded. */
  readonly event?: string | undefined;
  readonly list?: ListKind | undefined;
}

type MethodTable = ReadonlyMap<string, MethodRule>;

/**
 * Every method of the revisions 2025-03-26 to 2026-07-28, by who sends it and whether it is answered. A method that is not
 * here is refused: what is not understood cannot be decided.
 */
const CLIENT_REQUESTS: MethodTable = new Map<string, MethodRule>([
  ["initialize", { action: "connect", target: "server", event: "session.open" }],
  ["server/discover", { action: "connect", target: "server", event: "server.discover" }],
  ["ping", { action: "connect", target: "server" }],
  ["logging/setLevel", { action: "connect", target: "server" }],
  ["tools/list", { action: "connect", target: "server", event: "tool.list", list: "tools" }],
  ["tools/call", { action: "call_tool", target: "tool", event: "tool.call" }],
  ["prompts/list", { action: "connect", target: "server", event: "prompt.list", list: "prompts" }],
  ["prompts/get", { action: "get_prompt", target: "prompt", event: "prompt.get" }],
  ["resources/list", { action: "connect", target: "server", event: "resource.list", list: "resources" }],
  [
    "resources/templates/list",
    { action: "connect", target: "server", event: "resource.list", list: "resourceTemplates" },
  ],
  ["resources/read", { action: "read_resource", target: "resource", event: "resource.read" }],
  ["resources/subscribe", { action: "subscribe", target: "resource", event: "resource.subscribe" }],
  ["resources/unsubscribe", { action: "subscribe", target: "resource", event: "resource.unsubscribe" }],
  ["subscriptions/listen", { action: "subscribe", target: "subscription", event: "subscription.listen" }],
  ["completion/complete", { action: "complete", target: "reference", event: "completion.complete" }],
  ["tasks/get", { action: "call_tool", target: "task", event: "task.get" }],
  ["tasks/result", { action: "call_tool", target: "task", event: "task.result" }],
  ["tasks/update", { action: "call_tool", target: "task", event: "task.update" }],
  ["tasks/cancel", { action: "call_tool", target: "task", event: "task.cancel" }],
  ["tasks/list", { action: "connect", target: "server", event: "task.list", list: "tasks" }],
]);

/** What 2026-07-28 took away: its clients are answered as if it had never been. */
const SESSION_ERA_ONLY: ReadonlySet<string> = new Set([
  "initialize",
  "ping",
  "logging/setLevel",
  "resources/subscribe",
  "resources/unsubscribe",
  "tasks/list",
  "tasks/result",
]);

/** The rule of a client's request in its era; undefined where the method is none of it. */
export function clientRequestRule(method: string, isModern: boolean): MethodRule | undefined {
  return isModern && SESSION_ERA_ONLY.has(method) ? undefined : CLIENT_REQUESTS.get(method);
}

export const CLIENT_NOTIFICATIONS: MethodTable = new Map<string, MethodRule>([
  ["notifications/initialized", { action: "connect", target: "server" }],
  ["notifications/cancelled", { action: "connect", target: "server" }],
  ["notifications/progress", { action: "connect", target: "server" }],
  ["notifications/roots/list_changed", { action: "list_roots", target: "server" }],
  ["notifications/tasks/status", { action: "connect", target: "server" }],
]);

export const SERVER_REQUESTS: MethodTable = new Map<string, MethodRule>([
  ["ping", { action: "connect", target: "server" }],
  ["sampling/createMessage", { action: "sample", target: "server", event: "sampling.create" }],
  ["elicitation/create", { action: "elicit", target: "server", event: "elicitation.create" }],
  ["roots/list", { action: "list_roots", target: "server", event: "roots.list" }],
  // Tasks that the client runs for the server: deferred sampling and elicitation (2025-11-25).
  ["tasks/get", { action: "sample", target: "server" }],
  ["tasks/result", { action: "sample", target: "server" }],
  ["tasks/list", { action: "sample", target: "server" }],
  ["tasks/cancel", { action: "sample", target: "server" }],
]);

export const SERVER_NOTIFICATIONS: MethodTable = new Map<string, MethodRule>([
  ["notifications/cancelled", { action: "connect", target: "server" }],
  ["notifications/progress", { action: "connect", target: "server" }],
  ["notifications/message", { action: "connect", target: "server" }],
  ["notifications/resources/updated", { action: "subscribe", target: "resource" }],
  ["notifications/resources/list_changed", { action: "connect", target: "server" }],
  ["notifications/tools/list_changed", { action: "connect", target: "server" }],
  ["notifications/prompts/list_changed", { action: "connect", target: "server" }],
  ["notifications/tasks/status", { action: "connect", target: "server" }],
  ["notifications/tasks", { action: "connect", target: "server" }],
  ["notifications/elicitation/complete", { action: "elicit", target: "server" }],
  ["notifications/subscriptions/acknowledged", { action: "subscribe", target: "server" }],
]);
