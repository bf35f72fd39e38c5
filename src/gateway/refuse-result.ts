import type { FinishedAnswer } from "./answer.ts";
import { valueAt, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { refusalOf } from "./fault-report.ts";
import { MODERN_VERSION, protocolVersionOf } from "./http/request-headers.ts";
import { errorMessage } from "./http/respond.ts";
import type { PendingCall } from "./pending-call.ts";

const FAULT = { kind: "refused", text: "its result is no tool result of MCP" } as const;

/**
 * Stands in the place of a tool's result that the gateway's own clients cannot pass on. Undefined for every other answer: an agent
 * on the server's own path gets what the server says.
 */
export function refuseResult(
  { bytes, result }: ResponseEnvelope,
  { facts, draft }: PendingCall,
  { isToolResult, request }: Exchange,
): FinishedAnswer | undefined {
  if (isToolResult === undefined || result === undefined || facts.envelope.method !== "tools/call") return undefined;
  const isModern = protocolVersionOf(request.headers) === MODERN_VERSION;
  if (isToolResult(valueAt(bytes, result), isModern)) return undefined;
  const refusal = refusalOf(FAULT, { serverName: facts.serverName, correlationId: draft?.correlationId });
  return {
    bytes: errorMessage(facts.envelope.idText, refusal),
    end: { outcome: "error", reason: `upstream_${FAULT.kind}`, details: { fault: FAULT.text } },
  };
}
