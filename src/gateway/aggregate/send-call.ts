import type { CallToolResult } from "@modelcontextprotocol/client";
import type { GatewayContext } from "../context.ts";
import { type CallDenial, denyCall, recordUnsent, type UnsentToolCall } from "./unsent-call.ts";
import type { InnerClients, InnerToolCall } from "./inner-clients.ts";
import { UnopenedError } from "./unopened-error.ts";

export interface CallSender {
  readonly clients: InnerClients;
  readonly context: GatewayContext;
}

export type CallAnswer =
  | { readonly isDenied: true; readonly denial: CallDenial }
  | { readonly isDenied: false; readonly result: CallToolResult };

/**
 * Sends a call to its server as its agent's own, unless it is denied. It leaves one event, whatever becomes of it: where no message
 * of it reaches the server's own path, which records it, it is recorded here. Rejects as `InnerClients.callTool` does.
 */
export async function sendCall(
  unsent: UnsentToolCall,
  call: InnerToolCall,
  { clients, context }: CallSender,
): Promise<CallAnswer> {
  const denial = await denyCall(unsent, clients.subject, context);
  if (denial !== undefined) return { isDenied: true, denial };
  try {
    return { isDenied: false, result: await clients.callTool(call) };
  } catch (error) {
    if (!(error instanceof UnopenedError)) throw error;
    const reason = call.signal.aborted ? "client_cancelled" : "session_not_opened";
    const deniedSince = await recordUnsent(unsent, clients.subject, { context, reason });
    if (deniedSince !== undefined) return { isDenied: true, denial: deniedSince };
    throw error.cause;
  }
}
