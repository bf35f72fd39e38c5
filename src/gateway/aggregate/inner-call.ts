import { accessAs, type AccessRefusal } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { decide, type Question, refusalMessage } from "../decide.ts";
import { matchDetails, subjectOf, toDraft } from "../record.ts";
import type { InnerClients } from "./inner-clients.ts";
import { toFailure, toOutcome } from "./inner-outcome.ts";
import { payloadOf } from "./judged-run.ts";
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
  reach: RunReach,
  { signal, onProgress, onHeld }: InnerCallOptions,
): Promise<InnerCallOutcome> {
  const { clients, serverIdByName } = reach;
  const serverId = serverIdByName.get(call.server);
  if (serverId === undefined) return unsent("not_found", `server \`${call.server}\` is not there any more`);
  if (clients === undefined) return unsent("forbidden", "this run sends no calls: it is a dry run, or has no agent");
  const args = parseArguments(call.argumentsJson);
  if (args === undefined) return unsent("invalid_input", "the arguments of a tool must be an object");
  const parent = { correlationId: call.caller.correlationId, onHeld };
  try {
    const result = await clients.callTool({ serverId, tool: call.tool, args, parent, signal, onProgress });
    return toOutcome(result);
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
  const access = accessAs({ ...clients.subject, serverId }, context.liveView.current, context.clock.now());
  if (!access.ok) return toInnerRefusal(access.refusal);
  const args = parseArguments(call.argumentsJson);
  const question: Question = { action: "call_tool", target: { type: "tool", name: call.tool }, args: () => args };
  const decision = decide(access.caller, question, context.clock.now());
  if (decision.effect !== "deny") return undefined;
  const draft = toDraft(subjectOf(access.caller), {
    event: "tool.call",
    time: context.clock.now(),
    target: question.target,
    policies: decision.policies,
    correlationId: call.caller.correlationId,
    details: { ...payloadOf(args, decision.audit, context), ...matchDetails(decision), isRepeated: true },
  });
  await context.audit.record({ ...draft, outcome: "denied", reason: decision.reason });
  const { policies, reason } = decision;
  return {
    code: "forbidden",
    message: refusalMessage(access.caller, question, decision),
    policies,
    details: { reason },
  };
}

const GONE: InnerRefusal = { code: "not_found", message: "the server is not there any more" };

/** Where the view is behind, nobody knows what the agent may do: that is no denial. */
function toInnerRefusal({ status, code, message }: AccessRefusal): InnerRefusal {
  if (status === 503) return { code: "unavailable", message };
  return { code: "forbidden", message, details: { reason: code } };
}

function parseArguments(json: string): Readonly<Record<string, unknown>> | undefined {
  const value: unknown = JSON.parse(json);
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.fromEntries(Object.entries(value));
}

function unsent(code: string, message: string): InnerCallOutcome {
  return { status: "refused", wasSent: false, error: { code, message } };
}
