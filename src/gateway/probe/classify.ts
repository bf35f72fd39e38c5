import { ProtocolError, SdkError, SdkErrorCode } from "@modelcontextprotocol/client";
import { AppError } from "../../lib/errors.ts";
import type { Contact } from "./contact.ts";
import type { DiscoveryState } from "./target.ts";

/** How a contact failed, in one of the contract's states and our own words; never in the upstream's. */
export interface Failure {
  readonly state: Exclude<DiscoveryState, "ok">;
  readonly error: string;
}

/** Classifies by what was seen of the upstream first, and by the SDK's error only where nothing was seen. */
export function classifyFailure(error: unknown, contact: Contact, timeoutMs: number): Failure {
  if (contact.refusal !== undefined) return { state: "not_contacted", error: contact.refusal.message };
  if (error instanceof AppError && error.code === "invalid_input")
    return { state: "not_contacted", error: error.message };
  return byStatus(contact) ?? byFault(error, contact) ?? byAnswer(error, contact, timeoutMs);
}

function byStatus({ lastStatus, fault }: Contact): Failure | undefined {
  if (lastStatus === undefined || lastStatus < 300 || fault !== undefined) return undefined;
  if (lastStatus === 401 || lastStatus === 403) {
    return { state: "unauthorized", error: `the server answers HTTP ${lastStatus}; check \`credential\`` };
  }
  if (lastStatus === 429 || lastStatus >= 500) {
    return { state: "unreachable", error: `the server answers HTTP ${lastStatus}` };
  }
  return {
    state: "not_mcp",
    error: `the server answers HTTP ${lastStatus} to an MCP request; check \`url\` and \`transport\``,
  };
}

function byFault(error: unknown, contact: Contact): Failure | undefined {
  if (contact.fault !== undefined) {
    return { state: contact.latencyMs === undefined ? "unreachable" : "not_mcp", error: `the server ${contact.fault}` };
  }
  // A token endpoint that gives no token, a command that does not start: said by the part that knows.
  return error instanceof AppError ? { state: stateOf(error), error: error.message } : undefined;
}

function stateOf(error: AppError): Exclude<DiscoveryState, "ok"> {
  if (error.details?.["refused"] === "credential") return "unauthorized";
  return error.code === "forbidden" ? "not_contacted" : "unreachable";
}

function byAnswer(error: unknown, contact: Contact, timeoutMs: number): Failure {
  const isTimeout =
    (error instanceof SdkError && error.code === SdkErrorCode.RequestTimeout) ||
    (error instanceof Error && error.name === "TimeoutError");
  if (contact.isHandshakeDone && isTimeout) {
    return { state: "unreachable", error: `the server stopped answering within ${timeoutMs} ms` };
  }
  if (contact.latencyMs === undefined) {
    return { state: "unreachable", error: `the server gave no answer within ${timeoutMs} ms` };
  }
  if (error instanceof ProtocolError) {
    return {
      state: "not_mcp",
      error: `the server answers with JSON-RPC error ${error.code} where MCP asks for a result`,
    };
  }
  const late = isTimeout ? ` within ${timeoutMs} ms` : "";
  return { state: "not_mcp", error: `the server answers, but gave no valid MCP message${late}` };
}
