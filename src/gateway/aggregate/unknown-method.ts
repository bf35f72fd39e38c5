import type { Caller } from "../decide.ts";
import type { GatewayContext } from "../context.ts";
import { CLIENT_NOTIFICATIONS, clientRequestRule } from "../methods.ts";
import { recordDenial } from "../record-denial.ts";
import { GATEWAY_RESOURCE, toAggregateDraft } from "./record.ts";

interface Sender {
  readonly agent: Pick<Caller, "snapshot" | "key" | "agent" | "ip" | "client">;
  /** Requests of the stateless revision have none. */
  readonly sessionId: string | undefined;
}

/**
 * Puts on record, as on a server's own path, a message whose method nobody knows (contract section 5). The SDK refuses it then. What
 * servers know and this endpoint does not offer is no denial.
 */
export async function recordUnknownMethod(
  message: unknown,
  { agent, sessionId }: Sender,
  context: GatewayContext,
): Promise<void> {
  const method = methodOf(message);
  if (method === undefined || CLIENT_NOTIFICATIONS.has(method)) return;
  if (clientRequestRule(method, sessionId === undefined) !== undefined) return;
  const draft = toAggregateDraft(agent, {
    event: "message.refused",
    time: context.clock.now(),
    resource: GATEWAY_RESOURCE,
    sessionId,
    details: { method: context.maskName(method.toWellFormed()) },
  });
  await recordDenial(context, { draft, reason: "unknown_method", keyId: agent.key.id });
}

function methodOf(message: unknown): string | undefined {
  const isNamed = typeof message === "object" && message !== null && "method" in message;
  return isNamed && typeof message.method === "string" ? message.method : undefined;
}
