import { createHash } from "node:crypto";
import type { DecisionDraft } from "../audit/audit-log.ts";
import { toCanonicalJson } from "../lib/canonical-json.ts";
import { AppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { AnswerSink } from "./answer-sink.ts";
import type { HeldCall } from "./approvals.ts";
import { decide, refusalMessage, toQuestion, type Decision, type Question, type Target } from "./decide.ts";
import {
  memberOf,
  parseEnvelope,
  valueAt,
  type Envelope,
  type NotificationEnvelope,
  type RequestEnvelope,
  type ResponseEnvelope,
} from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { openHandles, toolOfTask } from "./handles.ts";
import { one } from "./http/request-headers.ts";
import { errorMessage, respondEmpty, respondJson, respondRefusal } from "./http/respond.ts";
import { CLIENT_NOTIFICATIONS, clientRequestRule, type MethodRule } from "./methods.ts";
import { isModern, modernHeaders } from "./modern.ts";
import { PendingCall } from "./pending-call.ts";
import { matchDetails, subjectOf, toDraft, toPayload } from "./record.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import { splice } from "./splice.ts";
import { readTargets } from "./targets.ts";
import { postHeaders } from "./upstream-headers.ts";

/** Handles one message of a client: decides it, records it, and sends it on, or answers why not. */
export async function handleMessage(exchange: Exchange, bytes: Buffer): Promise<void> {
  const envelope = parseEnvelope(bytes);
  if (envelope.kind === "request") exchange.idText = envelope.idText;
  try {
    await route(exchange, envelope);
  } catch (error) {
    if (error instanceof AppError && error.code === "unavailable") return exchange.unrecorded(error);
    if (!(error instanceof RpcRefusal)) throw error;
    respondRefusal(exchange.response, error, exchange.idText);
  }
}

async function route(exchange: Exchange, envelope: Envelope): Promise<void> {
  const modern = isModern(envelope, exchange.request.headers);
  if (modern) exchange.session = undefined;
  if (envelope.kind === "request") return handleRequest(exchange, envelope, modern);
  if (envelope.kind === "notification") return handleNotification(exchange, envelope);
  return handleResponse(exchange, envelope);
}

async function handleRequest(exchange: Exchange, envelope: RequestEnvelope, modern: boolean): Promise<void> {
  const rule = clientRequestRule(envelope.method, modern);
  if (rule === undefined) throw await unknownMethod(exchange, envelope, modern);
  const judged = { rule, ...judge(exchange, envelope, rule) };
  if (judged.decision.effect === "deny") return refuse(exchange, envelope, judged);
  if (judged.decision.effect === "held" && !(await isApproved(exchange, envelope, judged))) return;
  const edits = openHandles(envelope, exchange.scope, exchange.context);
  const headers = modern ? checkedHeaders(exchange, envelope) : [];
  const pending = startCall(exchange, envelope, judged);
  exchange.pending = pending;
  if (!pending.isDurable && exchange.caller.snapshot.organization.settings.auditDurability === "before-dispatch") {
    await pending.durable;
    if (!exchange.refresh()) return;
  }
  const body = splice(envelope.bytes, edits);
  exchange.send({ method: "POST", headers: postHeaders(exchange, headers), body }, new AnswerSink(exchange));
}

interface Judged {
  readonly rule: MethodRule;
  readonly question: Question;
  readonly decision: Decision;
}

/** Decides on everything that the message names; the first denial counts. */
function judge(
  exchange: Exchange,
  envelope: RequestEnvelope | NotificationEnvelope,
  rule: MethodRule,
): Omit<Judged, "rule"> {
  const { scope, context, caller } = exchange;
  const targets = readTargets(rule, envelope, {
    toolOfTask: (sealed) => toolOfTask(sealed, scope, context),
    serverName: caller.server.server.name,
  });
  const args = (): unknown => valueAt(envelope.bytes, memberOf(envelope.params, "arguments"));
  const judge = (target: Target): Omit<Judged, "rule"> => {
    const question = toQuestion(rule, target, args);
    return { question, decision: decide(caller, question, context.clock.now()) };
  };
  const [first, ...rest] = targets;
  let judged = judge(first);
  for (const target of rest) if (judged.decision.effect === "allow") judged = judge(target);
  return judged;
}

/** Answers a message that is not sent on: denied, or held for an approval. Its event is durable first. */
async function refuse(
  exchange: Exchange,
  envelope: RequestEnvelope,
  judged: Judged & { readonly approvalId?: string | undefined; readonly draft?: DecisionDraft | undefined },
): Promise<void> {
  const { context, caller } = exchange;
  const { question, decision, approvalId } = judged;
  const isHeld = decision.effect === "held";
  const reason = decision.effect === "allow" ? "unforeseen" : decision.reason;
  const draft = judged.draft ?? draftOf(exchange, envelope, judged);
  await context.audit.record({
    ...draft,
    outcome: isHeld ? "held" : "denied",
    reason,
    durationMs: performance.now() - exchange.receivedAt,
  });
  context.metrics?.denied(caller.server.server.name, isHeld ? "held" : reason);
  const data = {
    type: isHeld ? "runlayer.approval_pending" : "runlayer.denied",
    reason,
    policies: decision.policies,
    correlationId: draft.correlationId,
    ...(approvalId === undefined ? {} : { approvalId }),
  };
  const code = isHeld ? RPC_CODES.approvalPending : RPC_CODES.denied;
  const error = { code, message: refusalMessage(caller, question, decision), data };
  respondJson(exchange.response, { status: 200, body: errorMessage(envelope.idText, error) });
}

/** Whether a held call may go on now; where not, the client has been answered. */
async function isApproved(exchange: Exchange, envelope: RequestEnvelope, judged: Judged): Promise<boolean> {
  const { context } = exchange;
  const draft = draftOf(exchange, envelope, judged);
  const approval = await context.approvals?.claim(toHeldCall(exchange, judged, draft));
  if (approval?.state === "approved") return exchange.refresh();
  await refuse(exchange, envelope, { ...judged, approvalId: approval?.approvalId, draft });
  return false;
}

function toHeldCall({ caller }: Exchange, { question, decision }: Judged, draft: DecisionDraft): HeldCall {
  const { agent, server } = caller;
  const { target } = question;
  return {
    agentId: agent.agent.id,
    memberId: agent.agent.owner,
    serverId: server.server.id,
    target,
    toolDigest: target.type === "tool" ? server.toolByName.get(target.name)?.digest : undefined,
    argumentsHash: createHash("sha256")
      .update(toCanonicalJson(question.args() ?? {}))
      .digest("hex"),
    policies: decision.policies,
    correlationId: draft.correlationId,
    sessionId: draft.sessionId,
  };
}

function startCall(exchange: Exchange, envelope: RequestEnvelope, judged: Judged): PendingCall {
  const { question, rule } = judged;
  return new PendingCall(exchange.context, {
    envelope,
    rule,
    tool: question.target.type === "tool" ? question.target.name : undefined,
    serverName: exchange.caller.server.server.name,
    draft: rule.event === undefined ? undefined : draftOf(exchange, envelope, judged),
    receivedAt: exchange.receivedAt,
  });
}

function draftOf(
  exchange: Exchange,
  envelope: RequestEnvelope | NotificationEnvelope,
  { rule, question, decision }: Judged,
): DecisionDraft {
  const { context, caller, session } = exchange;
  const args = memberOf(envelope.params, "arguments");
  const auditPayloads = decision.audit ?? caller.snapshot.organization.settings.auditPayloads;
  const payload =
    args === undefined
      ? {}
      : toPayload(envelope.bytes.subarray(args.start, args.end), auditPayloads, context.maskSecrets);
  return toDraft(subjectOf(caller), {
    event: rule.event ?? "message.refused",
    time: context.clock.now(),
    target: question.target,
    // An `initialize` opens the session that its event names.
    sessionId: envelope.method === "initialize" ? newId() : session?.id,
    policies: decision.policies,
    correlationId: exchange.parentCorrelationId,
    details: {
      ...payload,
      ...(rule.event === undefined ? { method: envelope.method } : {}),
      ...matchDetails(decision),
    },
  });
}

function checkedHeaders(exchange: Exchange, envelope: RequestEnvelope): string[] {
  const { context, scope } = exchange;
  return modernHeaders(envelope, exchange.request.headers, {
    server: exchange.caller.server,
    upstreamName: (sealed) => context.sealer.open("task", scope, sealed)?.split("\n")[1] ?? "",
  });
}

async function handleNotification(exchange: Exchange, envelope: NotificationEnvelope): Promise<void> {
  const rule = CLIENT_NOTIFICATIONS.get(envelope.method);
  if (rule === undefined) throw await unknownMethod(exchange, envelope, false);
  const judged = judge(exchange, envelope, rule);
  if (judged.decision.effect !== "allow") {
    const draft = draftOf(exchange, envelope, { rule, ...judged });
    await exchange.context.audit.record({ ...draft, outcome: "denied", reason: judged.decision.reason });
    // A notification has no answer; it is taken and goes nowhere.
    return respondEmpty(exchange.response, 202);
  }
  forward(exchange, envelope);
}

async function handleResponse(exchange: Exchange, envelope: ResponseEnvelope): Promise<void> {
  const { context, scope, session } = exchange;
  const asked =
    envelope.id === null
      ? undefined
      : context.serverRequests.take({ ...scope, sessionId: session?.id, id: envelope.id });
  // Within a session the upstream itself knows what it asked; without one the answer could be to another agent's question.
  if (asked === undefined && session === undefined)
    throw RpcRefusal.invalidRequest("this answer is to no request that was sent to you");
  if (asked?.decisionId !== undefined) {
    const outcome = envelope.error === undefined ? "success" : "error";
    const durationMs = context.clock.now() - asked.startedAt;
    const reason = outcome === "error" ? "client_refused" : undefined;
    context.audit.settle(asked.decisionId, { outcome, durationMs, reason });
  }
  forward(exchange, envelope);
}

function forward(exchange: Exchange, envelope: NotificationEnvelope | ResponseEnvelope): void {
  const body = splice(envelope.bytes, openHandles(envelope, exchange.scope, exchange.context));
  const method = one(exchange.request.headers["mcp-method"]);
  const modern = method === undefined || envelope.kind === "response" ? [] : ["mcp-method", envelope.method];
  exchange.send({ method: "POST", headers: postHeaders(exchange, modern), body }, new AnswerSink(exchange));
}

/** Records that a method was refused because nobody knows what it does, and gives the refusal. */
async function unknownMethod(
  exchange: Exchange,
  envelope: RequestEnvelope | NotificationEnvelope,
  modern: boolean,
): Promise<RpcRefusal> {
  const { context, caller, session } = exchange;
  const draft = toDraft(subjectOf(caller), {
    event: "message.refused",
    time: context.clock.now(),
    sessionId: session?.id,
    details: { method: envelope.method.toWellFormed() },
  });
  await context.audit.record({ ...draft, outcome: "denied", reason: "unknown_method" });
  // 2026-07-28 answers an unknown method with 404, the session revisions within HTTP 200; a notification has no answer to be in.
  const status = envelope.kind === "notification" ? 400 : modern ? 404 : 200;
  return new RpcRefusal({ status, code: RPC_CODES.methodNotFound, message: "the method is not known to the gateway" });
}
