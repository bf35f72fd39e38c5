import type { HealthState, ServerHealth } from "../domain/server.ts";
import type { AccessRefusal } from "./access.ts";
import { phraseOf } from "./fault-phrase.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import type { UpstreamFault } from "./upstream.ts";

/** A fault of one call says less than one of the connection. */
const HEALTH_BY_FAULT: Readonly<Record<UpstreamFault["kind"], HealthState>> = {
  unreachable: "unreachable",
  unavailable: "unreachable",
  timeout: "degraded",
  reset: "degraded",
  refused: "degraded",
  credential: "unauthorized",
};

/** What a failed call says of its server. */
export function healthOf({ kind, text }: UpstreamFault): Pick<ServerHealth, "state" | "latencyMs" | "error"> {
  return { state: HEALTH_BY_FAULT[kind], latencyMs: null, error: text };
}

/** Whether a server has done no more than end, or let fall silent, an answer that nobody waits for. One that never began may hang. */
export function isMereEnd({ kind }: UpstreamFault, { headersSent }: { readonly headersSent: boolean }): boolean {
  return kind === "reset" || kind === "unreachable" || (kind === "timeout" && headersSent);
}

/** What the client is told of it. */
export function refusalOf(
  fault: UpstreamFault,
  { serverName, correlationId }: { readonly serverName: string; readonly correlationId: string | undefined },
): RpcRefusal {
  const isTimeout = fault.kind === "timeout";
  const message = `server \`${serverName}\` ${phraseOf(fault)}`;
  const data = { type: isTimeout ? "runlayer.timeout" : "runlayer.upstream_error", correlationId };
  return new RpcRefusal({ status: isTimeout ? 504 : 502, code: RPC_CODES.internalError, message }, { data });
}

/**
 * What the client is told where its message was sent before it was recorded, and cannot be. The code is that of every message that
 * cannot be recorded (contract section 5); `wasSent` keeps it apart from those that are safe to repeat.
 */
export function sentUnrecordedRefusal(correlationId: string | undefined): RpcRefusal {
  const message =
    "this was sent to the server, but the gateway cannot record it, so the answer is withheld; its effect is unknown, so look before you repeat it";
  const data = { type: "runlayer.unrecorded", wasSent: true, correlationId };
  return new RpcRefusal({ status: 503, code: RPC_CODES.unavailable, message }, { data });
}

/** What the client is told where its right or the gateway ended after its message was sent: nobody waits for the answer any more. */
export function sentAndCutOff({ status, code, message }: AccessRefusal, correlationId: string | undefined) {
  const data = { type: "runlayer.cut_off", wasSent: true, correlationId };
  const told = `${message}; this was sent to the server before that, so its effect is unknown: look before you repeat it`;
  return { status, code, message: told, data };
}

/** What the client is told where its answer found no room in memory. The server has done what it was asked for. */
export function unreadRefusal(correlationId: string | undefined): RpcRefusal {
  const message =
    "the answer was dropped: too much that was answered before waits to be read; the call may have had its effect, so look before you repeat it";
  const data = { type: "runlayer.unread_answers", correlationId };
  // Not the code of the gateway's other refusals: what they refuse was never sent.
  return new RpcRefusal({ status: 503, code: RPC_CODES.internalError, message }, { data });
}
