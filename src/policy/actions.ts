/** What a message asks for (contract section 5). The order is the order of the documentation. */
export const POLICY_ACTIONS = [
  "call_tool",
  "read_resource",
  "get_prompt",
  "complete",
  "subscribe",
  "sample",
  "elicit",
  "list_roots",
  "run_skill",
  "connect",
] as const;

export type PolicyAction = (typeof POLICY_ACTIONS)[number];

/** Every MCP method, of every revision, that a policy decides. Lists are filtered item by item and need `connect` themselves. */
const ACTION_OF_METHOD: ReadonlyMap<string, PolicyAction> = new Map<string, PolicyAction>([
  ["initialize", "connect"],
  ["notifications/initialized", "connect"],
  ["server/discover", "connect"],
  ["ping", "connect"],
  ["logging/setLevel", "connect"],
  ["notifications/message", "connect"],
  ["notifications/progress", "connect"],
  ["notifications/cancelled", "connect"],
  ["notifications/roots/list_changed", "connect"],
  ["notifications/tools/list_changed", "connect"],
  ["notifications/prompts/list_changed", "connect"],
  ["notifications/resources/list_changed", "connect"],
  ["notifications/resources/updated", "connect"],
  ["notifications/elicitation/complete", "connect"],
  ["notifications/tasks/status", "connect"],
  ["tools/list", "connect"],
  ["prompts/list", "connect"],
  ["resources/list", "connect"],
  ["resources/templates/list", "connect"],
  ["subscriptions/listen", "subscribe"],
  ["tools/call", "call_tool"],
  ["tasks/get", "connect"],
  ["tasks/list", "connect"],
  ["tasks/result", "connect"],
  ["tasks/cancel", "connect"],
  ["resources/read", "read_resource"],
  ["resources/subscribe", "subscribe"],
  ["resources/unsubscribe", "subscribe"],
  ["prompts/get", "get_prompt"],
  ["completion/complete", "complete"],
  ["sampling/createMessage", "sample"],
  ["elicitation/create", "elicit"],
  ["roots/list", "list_roots"],
]);

/** The action that a policy sees for an MCP method; `undefined` means that the method MUST be refused. */
export function actionOfMethod(method: string): PolicyAction | undefined {
  return ACTION_OF_METHOD.get(method);
}
