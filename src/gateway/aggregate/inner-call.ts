import { accessAs } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { type CallDenial, denyCall, type UnsentToolCall } from "./unsent-call.ts";
import type { InnerClients } from "./inner-clients.ts";
import { toFailure, toOutcome } from "./inner-outcome.ts";
import { sendCall } from "./send-call.ts";
import type { InnerCall, InnerCallOptions, InnerCallOutcome, InnerRefusal } from "./ports.ts";

/** What a run may reach: under which names its code knows servers, and the ways to them. */
export interface RunReach {
  readonly serverIdByName: ReadonlyMap<string, string>;
  /** Absent where nothing may be sent: a dry run, or one without an agent. */
  readonly clients: InnerClients | undefined;
}

/** One `callTool` of a skill, as a call of its agent on the server's own path. Never rejects. */
export async function makeInnerCall(
  call: InnerCall,
  { clients, serverIdByName, context }: RunReach & { readonly context: GatewayContext },
  { signal, onProgress, onHeld }: InnerCallOptions,
): Promise<InnerCallOutcome> {
  const serverId = serverIdByName.get(call.server);
  if (serverId === undefined) return unsent("not_found", `server \`${call.server}\` is not there any more`);
  if (clients === undefined) return unsent("forbidden", "this run sends no calls: it is a dry run, or has no agent");
  const args = parseArguments(call.argumentsJson);
  if (args === undefined) return unsent("invalid_input", "the arguments of a tool must be an object");
  const parent = { correlationId: call.caller.correlationId, onHeld };
  try {
    const sent = { serverId, tool: call.tool, args, parent, signal, onProgress };
    const answer = await sendCall(toUnsent(call, serverId), sent, { clients, context });
    if (answer.isDenied) return { status: "refused", wasSent: false, error: toInnerRefusal(answer.denial) };
    return toOutcome(answer.result);
  } catch (error) {
    return toFailure(error, signal);
  }
}

/**
 * Whether the agent could still make a call whose answer a continued run would be given again. What a person approved stays
 * approved; what is denied now is recorded as the call's denial. Undefined where it could.
 */
export async function recheckInnerCall(
  call: InnerCall,
  { clients, serverIdByName }: RunReach,
  context: GatewayContext,
): Promise<InnerRefusal | undefined> {
  const serverId = serverIdByName.get(call.server);
  if (clients === undefined || serverId === undefined) return GONE;
  const denial = await denyCall(
    { ...toUnsent(call, serverId), details: { isRepeated: true } },
    clients.subject,
    context,
  );
  if (denial !== undefined) return toInnerRefusal(denial);
  const access = accessAs({ ...clients.subject, serverId }, context.liveView.current, context.clock.now());
  if (access.ok) return undefined;
  // Where the view is behind, nobody knows what the agent may do: that is no denial.
  const { status, code, message } = access.refusal;
  return { code: status === 503 ? "unavailable" : "forbidden", message, details: { reason: code } };
}

const GONE: InnerRefusal = { code: "not_found", message: "the server is not there any more" };

function toUnsent({ tool, argumentsJson, caller }: InnerCall, serverId: string): UnsentToolCall {
  return { serverId, tool, argumentsJson, correlationId: caller.correlationId, startedAt: performance.now() };
}

function toInnerRefusal({ message, policies, reason }: CallDenial): InnerRefusal {
  return { code: "forbidden", message, policies, details: { reason } };
}

function parseArguments(json: string): Readonly<Record<string, unknown>> | undefined {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value));
}

function unsent(code: string, message: string): InnerCallOutcome {
  return { status: "refused", wasSent: false, error: { code, message } };
}
