import type { AuditPayloads } from "../../domain/organization.ts";
import { once } from "../../lib/once.ts";
import { accessAs, type AccessRefusal } from "../access.ts";
import type { GatewayContext } from "../context.ts";
import { type Caller, decide, type DecidingPolicy, type Decision, type Question, refusalMessage } from "../decide.ts";
import { recordDenial } from "../record-denial.ts";
import { matchDetails, subjectOf, toDraft, toPayload } from "../record.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import type { InnerSubject } from "./inner-clients.ts";

/** A call of a server's tool that is not sent yet. */
export interface UnsentToolCall {
  readonly serverId: string;
  readonly tool: string;
  /** As they were written; undefined where there are none. */
  readonly argumentsJson: string | undefined;
  readonly sessionId?: string | undefined;
  readonly correlationId?: string | undefined;
  /** `performance.now()` when it came. */
  readonly startedAt: number;
  /** What its event says besides. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** A call that was denied; on record. */
export interface CallDenial {
  readonly reason: string;
  /** For the model and the person behind it. */
  readonly message: string;
  readonly policies: readonly DecidingPolicy[];
  readonly correlationId: string;
}

/**
 * Denies what the agent may not call, before a connection to the server is opened for it: there the log would have a refused
 * connection in the call's place, or nothing. Undefined where it is not denied: then the server's own path decides.
 */
export async function denyCall(
  call: UnsentToolCall,
  subject: InnerSubject,
  context: GatewayContext,
): Promise<CallDenial | undefined> {
  const found = findDenial(call, subject, context);
  if (found === undefined) return undefined;
  const { reason, message, policies, draft, serverName } = found;
  const durationMs = performance.now() - call.startedAt;
  await recordDenial(context, { draft, reason, durationMs, server: serverName, keyId: subject.keyId });
  return { reason, message, policies, correlationId: draft.correlationId };
}

/**
 * Puts on record a call that was not sent, since its server could not be opened for it. Gives the denial where the agent may not
 * make it any more; every other is an error.
 */
export async function recordUnsent(
  call: UnsentToolCall,
  subject: InnerSubject,
  { context, reason }: { readonly context: GatewayContext; readonly reason: string },
): Promise<CallDenial | undefined> {
  const { audit, metrics, liveView, clock } = context;
  const denial = await denyCall(call, subject, context);
  if (denial !== undefined) return denial;
  const access = accessAs({ ...subject, serverId: call.serverId }, liveView.current, clock.now());
  // Nobody can tell, or there is nobody whose event it would be.
  if (!access.ok) return undefined;
  const { caller } = access;
  const { decision } = judge(call, caller, context);
  const durationMs = performance.now() - call.startedAt;
  await audit.record({ ...draftOf(call, { caller, decision }, context), outcome: "error", reason, durationMs });
  metrics?.called(caller.server.server.name, "error");
  return undefined;
}

/** The denial as the answer to the agent's call (contract section 5). */
export function toDeniedAnswer({ message, ...facts }: CallDenial): RpcRefusal {
  return new RpcRefusal(
    { status: 200, code: RPC_CODES.denied, message },
    { data: { type: "runlayer.denied", ...facts } },
  );
}

function findDenial(call: UnsentToolCall, subject: InnerSubject, context: GatewayContext) {
  const { liveView, clock } = context;
  const access = accessAs({ ...subject, serverId: call.serverId }, liveView.current, clock.now());
  return access.ok ? findRule(call, access.caller, context) : toDenial(call, { subject, ...access }, context);
}

/** Row 1 of the contract's decision table: no policy is asked. */
function toDenial(
  call: UnsentToolCall,
  { subject, refusal }: { readonly subject: InnerSubject; readonly refusal: AccessRefusal },
  context: GatewayContext,
) {
  const { current: snapshot } = context.liveView;
  const agent = snapshot.agentById.get(subject.agentId)?.agent;
  // Nobody can tell, or there is nobody whose event it would be.
  if (refusal.status === 503 || agent === undefined) return undefined;
  const server = snapshot.serverById.get(call.serverId)?.server;
  const draft = toDraft(
    { ...subject, snapshot, agent, server },
    { ...factsOf(call, context), details: { ...payloadOf(call, undefined, context), ...call.details } },
  );
  const reason = refusal.code === "not_found" ? "not_assigned" : refusal.code;
  return { reason, message: refusal.message, policies: [], draft, serverName: server?.name ?? "" };
}

/** The other rows: the assignment, then the policies. */
function findRule(call: UnsentToolCall, caller: Caller, context: GatewayContext) {
  const { question, decision } = judge(call, caller, context);
  if (decision.effect !== "deny") return undefined;
  const { policies, reason } = decision;
  const draft = draftOf(call, { caller, decision }, context);
  const message = refusalMessage(caller, question, decision);
  return { reason, message, policies, draft, serverName: caller.server.server.name };
}

function judge(call: UnsentToolCall, caller: Caller, { clock }: GatewayContext) {
  const question: Question = {
    action: "call_tool",
    target: { type: "tool", name: call.tool },
    args: once(() => parseArguments(call)),
  };
  return { question, decision: decide(caller, question, clock.now()) };
}

function draftOf(
  call: UnsentToolCall,
  { caller, decision }: { readonly caller: Caller; readonly decision: Decision },
  context: GatewayContext,
) {
  const { policies, audit } = decision;
  return toDraft(subjectOf(caller), {
    ...factsOf(call, context),
    policies,
    details: { ...payloadOf(call, audit, context), ...matchDetails(decision), ...call.details },
  });
}

function factsOf({ tool, sessionId, correlationId }: UnsentToolCall, { clock, maskName }: GatewayContext) {
  const target = { type: "tool", name: maskName(tool) } as const;
  return { event: "tool.call", time: clock.now(), target, sessionId, correlationId };
}

function payloadOf(
  call: UnsentToolCall,
  audit: AuditPayloads | undefined,
  { liveView, maskSecrets }: GatewayContext,
): Readonly<Record<string, unknown>> {
  const { argumentsJson } = call;
  if (argumentsJson === undefined) return {};
  const payload = { bytes: Buffer.from(argumentsJson), value: () => parseArguments(call) };
  return toPayload(payload, audit ?? liveView.current.organization.settings.auditPayloads, maskSecrets);
}

function parseArguments({ argumentsJson }: UnsentToolCall): unknown {
  const value: unknown = argumentsJson === undefined ? undefined : JSON.parse(argumentsJson);
  return value;
}
