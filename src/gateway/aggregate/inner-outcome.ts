import { type CallToolResult, ProtocolError, SdkHttpError } from "@modelcontextprotocol/client";
import type { DecidingPolicy } from "../decide.ts";
import { asRefusal, RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import type { InnerCallOutcome, InnerRefusal } from "./ports.ts";

const TEXT_MAX = 2000;

/** What a tool answered, as a skill gets it: the structured content if there is one, else the result. */
export function toOutcome(result: CallToolResult): InnerCallOutcome {
  if (result.isError !== true) return { status: "success", json: JSON.stringify(result.structuredContent ?? result) };
  const texts = result.content.flatMap((part) => (part.type === "text" ? [part.text] : []));
  const message = texts.join("\n").slice(0, TEXT_MAX) || "the tool failed";
  return { status: "refused", wasSent: true, error: { code: "upstream_error", message } };
}

/** The gateway itself refused: the server was not asked. */
export function isNotAllowed(error: unknown): boolean {
  const code = error instanceof ProtocolError ? error.code : refusalOf(error)?.code;
  return code === RPC_CODES.denied || code === RPC_CODES.approvalPending || code === RPC_CODES.unavailable;
}

/** What became of a call that was refused or failed. */
export function toFailure(error: unknown, signal: AbortSignal): InnerCallOutcome {
  if (signal.aborted) return { status: "refused", wasSent: true, error: { code: "timeout", message: "the run ended" } };
  const unrecorded = asRefusal(error);
  if (unrecorded !== undefined)
    return { status: "refused", wasSent: false, error: { code: "unavailable", message: unrecorded.message } };
  if (!(error instanceof ProtocolError)) return toHttpFailure(error);
  const { code, message, data } = error;
  const saysSent = memberOf(data, "wasSent") === true;
  if (code === RPC_CODES.denied) return { status: "refused", wasSent: saysSent, error: toDenial(message, data) };
  const approvalId = memberText(data, "approvalId");
  if (code === RPC_CODES.approvalPending && approvalId !== undefined) return { status: "held", approvalId };
  const isOurs = code === RPC_CODES.approvalPending || code === RPC_CODES.unavailable;
  const wasSent = !isOurs || saysSent;
  return { status: "refused", wasSent, error: { code: isOurs ? "unavailable" : "upstream_error", message } };
}

function toHttpFailure(error: unknown): InnerCallOutcome {
  const refusal = refusalOf(error);
  if (refusal?.code !== RPC_CODES.unavailable) {
    const message = "the server could not be reached through the gateway";
    return { status: "refused", wasSent: true, error: { code: "upstream_error", message } };
  }
  // With a code of its own a refusal says whether the call was sent; in HTTP's form alone it may have come after that.
  const refused = refusedIn(error);
  const wasSent =
    typeof memberOf(refused, "code") !== "number" || memberOf(memberOf(refused, "data"), "wasSent") === true;
  return { status: "refused", wasSent, error: { code: "unavailable", message: refusal.message } };
}

/**
 * What a call was refused with in HTTP's way, before an answer of its own had begun: as the client of the server's own path is
 * told. Undefined for every other error.
 */
export function refusalOf(error: unknown): RpcRefusal | undefined {
  const refused = refusedIn(error);
  if (!(error instanceof SdkHttpError)) return undefined;
  const message = memberText(refused, "message");
  if (message === undefined) return undefined;
  const code = memberOf(refused, "code");
  const { status } = error;
  if (typeof code === "number") return new RpcRefusal({ status, code, message }, { data: dataOf(refused) });
  const ownCode = status === 503 ? RPC_CODES.unavailable : RPC_CODES.denied;
  return new RpcRefusal({ status, code: ownCode, message }, { data: dataOf(refused) });
}

function refusedIn(error: unknown): unknown {
  return error instanceof SdkHttpError ? memberOf(parseJson(error.data["text"]), "error") : undefined;
}

function dataOf(refused: unknown): Readonly<Record<string, unknown>> | undefined {
  const data = memberOf(refused, "data");
  return typeof data === "object" && data !== null ? Object.fromEntries(Object.entries(data)) : undefined;
}

function parseJson(text: unknown): unknown {
  try {
    const value: unknown = typeof text === "string" ? JSON.parse(text) : undefined;
    return value;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function toDenial(message: string, data: unknown): InnerRefusal {
  return {
    code: "forbidden",
    message,
    policies: policiesOf(data),
    details: { reason: memberText(data, "reason") ?? "policy" },
  };
}

function policiesOf(data: unknown): readonly DecidingPolicy[] {
  const list = memberOf(data, "policies");
  if (!Array.isArray(list)) return [];
  return list.map((policy) => ({ id: memberText(policy, "id") ?? "", name: memberText(policy, "name") ?? "" }));
}

function memberText(value: unknown, name: string): string | undefined {
  const member = memberOf(value, name);
  return typeof member === "string" ? member : undefined;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Object.getOwnPropertyDescriptor(value, name)?.value : undefined;
}
