import {
  CLIENT_CAPABILITIES_META_KEY,
  inputRequired,
  inputResponse,
  type InputRequiredResult,
  type ServerContext,
} from "@modelcontextprotocol/server";
import type { GatewayContext } from "../context.ts";
import type { Connection } from "./connections.ts";
import type { RunHold } from "./skill-hold.ts";

const QUESTION = "approval";

interface Asking {
  readonly connection: Connection;
  readonly context: GatewayContext;
  readonly skillId: string;
}

/**
 * How a client waits for an approval: a session's call stays open; in the stateless revision the client is asked first, if it can
 * be, and its call stays open once the person behind it said so.
 */
export function patienceOf({ mcpReq }: ServerContext, asking: Asking): RunHold["patience"] {
  if (asking.connection.sessionId !== undefined) return "wait";
  const state = mcpReq.requestState();
  if (typeof state !== "string") return canAsk(mcpReq.envelope) ? "ask" : "return";
  // A state that we did not make for this agent and skill is no answer to a question of ours.
  if (asking.context.sealer.open("approval", scopeOf(asking), state) === undefined) return "return";
  const said = inputResponse(mcpReq.inputResponses, QUESTION);
  return said.kind === "elicit" && said.action === "accept" ? "wait" : "return";
}

/** The answer that asks the person to wait for the decision (2026-07-28, multi round-trip requests). */
export function questionOf(
  asking: Asking,
  { approvalId, message }: { readonly approvalId: string; readonly message: string },
): InputRequiredResult {
  const text = `${message}. Accept to wait for the decision on approval \`${approvalId}\`, decline to give up this call.`;
  return inputRequired({
    inputRequests: {
      [QUESTION]: inputRequired.elicit({ message: text, requestedSchema: { type: "object", properties: {} } }),
    },
    requestState: asking.context.sealer.seal("approval", scopeOf(asking), approvalId),
  });
}

/** A skill is no server's: its own id stands where that of a server does. */
function scopeOf({ connection, skillId }: Asking) {
  return { agentId: connection.agentId, serverId: skillId };
}

/** Whether the client declares forms; 2025-11-25 and later: an empty declaration means forms. */
function canAsk(envelope: ServerContext["mcpReq"]["envelope"]): boolean {
  const capabilities: unknown =
    envelope === undefined ? undefined : Reflect.get(envelope, CLIENT_CAPABILITIES_META_KEY);
  if (typeof capabilities !== "object" || capabilities === null || !("elicitation" in capabilities)) return false;
  const { elicitation } = capabilities;
  if (typeof elicitation !== "object" || elicitation === null) return false;
  return Object.keys(elicitation).length === 0 || "form" in elicitation;
}
