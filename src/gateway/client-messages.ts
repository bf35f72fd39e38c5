import type { DecisionDraft } from "../domain/audit-event.ts";
import { AppError } from "../lib/errors.ts";
import { AnswerSink } from "./answer-sink.ts";
import { takeAnswer } from "./approval-question.ts";
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
import { openHandles, openHandlesOfOthers } from "./handles.ts";
import { tied } from "./held-refusal.ts";
import { markCancelled } from "./mark-cancelled.ts";
import { passHold, type Released } from "./hold.ts";
import { one } from "./http/request-headers.ts";
import { respondEmpty } from "./http/respond.ts";
import { admitInputResponses } from "./input-requests.ts";
import { draftOf, judge, refuseDenied, type Judged } from "./judge.ts";
import { CLIENT_NOTIFICATIONS, clientRequestRule } from "./methods.ts";
import { isModern, modernHeaders } from "./modern.ts";
import { PendingCall } from "./pending-call.ts";
import { askedBy, recordDenial } from "./record-denial.ts";
import { subjectOf, toDraft } from "./record.ts";
import { recordUnfit } from "./refuse-unfit.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import { admitAnswer, taskScopeOf } from "./client-answers.ts";
import { splice, type Edit } from "./splice.ts";
import type { UpstreamRequest } from "./upstream.ts";
import { postHeaders } from "./upstream-headers.ts";

/** What upstreams take at least, mostly: a decision that is durable only then delays no answer, and shares its write with more. */
const RECORD_LINGER_MS = 4;

/** Handles one message of a client: decides it, records it, and sends it on, or answers why not. */
export async function handleMessage(exchange: Exchange, bytes: Buffer): Promise<void> {
  const envelope = parseEnvelope(bytes);
  if (envelope.kind === "request") exchange.idText = envelope.idText;
  try {
    await route(exchange, envelope);
  } catch (error) {
    if (error instanceof AppError && error.code === "unavailable") return exchange.unrecorded(error);
    if (!(error instanceof RpcRefusal)) throw error;
    exchange.refuse(error);
  }
}

async function route(exchange: Exchange, envelope: Envelope): Promise<void> {
  const modern = isModern(envelope, exchange.request.headers);
  if (modern) exchange.session = undefined;
  if (envelope.kind === "request") return handleRequest(exchange, envelope, modern);
  if (envelope.kind === "notification") return handleNotification(exchange, envelope);
  forward(exchange, envelope, await admitAnswer(exchange, envelope));
}

async function handleRequest(exchange: Exchange, given: RequestEnvelope, modern: boolean): Promise<void> {
  const rule = clientRequestRule(given.method, modern);
  if (rule === undefined) throw await unknownMethod(exchange, given, modern);
  const { envelope, answer } = modern ? takeAnswer(given, exchange) : { envelope: given, answer: undefined };
  let judged: Judged | undefined;
  let outgoing: Outgoing;
  try {
    judged = judge(exchange, envelope, rule);
    if (judged.decision.effect === "deny") return await refuseDenied(exchange, envelope, judged);
    // Before a person is asked: a message that is refused anyway is not worth anybody's time.
    outgoing = prepare(exchange, envelope, modern);
  } catch (error) {
    throw await recordUnfit(exchange, { envelope, rule, judged }, error);
  }
  if (modern && memberOf(envelope.params, "inputResponses") !== undefined)
    await admitInputResponses(envelope, exchange);
  const isHeld = judged.decision.effect === "held";
  const released = isHeld ? await passHold({ exchange, envelope, judged, isModern: modern, answer }) : judged;
  if (released === undefined) return;
  const pending = startCall(exchange, envelope, released);
  exchange.pending = pending;
  const { auditDurability } = exchange.caller.snapshot.organization.settings;
  if (pending.isDurable || auditDurability === "before-answer") stageMeanwhile(exchange, pending);
  else {
    await pending.durable;
    if (!exchange.refresh()) return;
  }
  const headers = postHeaders(exchange, outgoing.headers);
  const isSubscription = rule.target === "subscription";
  exchange.send(
    { method: "POST", headers, isSubscription, ...edited(envelope, outgoing.edits) },
    new AnswerSink(exchange),
  );
}

/** What changes of a request on its way, and the headers that it needs. */
interface Outgoing {
  readonly edits: readonly Edit[];
  readonly headers: readonly string[];
}

/** Throws `RpcRefusal` for what the agent was not given, and for headers that lie. */
function prepare(exchange: Exchange, envelope: RequestEnvelope, modern: boolean): Outgoing {
  const edits = openHandles(envelope, exchange.scope, exchange.context);
  return { edits, headers: modern ? checkedHeaders(exchange, envelope) : [] };
}

/** The messages that came together leave first; what is recorded of them is put together while their upstreams work. */
function stageMeanwhile({ context }: Exchange, pending: PendingCall): void {
  if (pending.isDurable) return;
  context.audit.refuseIfUnable();
  setImmediate(() => pending.stage(RECORD_LINGER_MS));
}

function startCall(exchange: Exchange, envelope: RequestEnvelope, released: Released): PendingCall {
  const { question, rule, approved } = released;
  const { context, caller, session, parent, receivedAt } = exchange;
  // As of now, whenever it is built: a change that comes meanwhile had no part in the decision.
  const decided = { context, caller, session, parent, time: context.clock.now() };
  const toDraft = (): DecisionDraft => {
    const draft = draftOf(decided, envelope, released);
    return approved === undefined ? draft : tied(draft, approved);
  };
  const tool = question.target.type === "tool" ? question.target.name : undefined;
  const serverName = caller.server.server.name;
  const facts = { envelope, rule, tool, serverName, approved, receivedAt };
  return new PendingCall(context, facts, rule.event === undefined ? undefined : toDraft);
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
    const draft = draftOf(exchange, envelope, judged);
    await recordDenial(exchange.context, { draft, reason: judged.decision.reason, ...askedBy(exchange) });
    // A notification has no answer; it is taken and goes nowhere.
    return respondEmpty(exchange.response, 202);
  }
  // What waits here has never been at the upstream.
  if (
    envelope.method === "notifications/cancelled" &&
    exchange.context.heldCalls.cancel(exchange, requestIdOf(envelope))
  )
    return respondEmpty(exchange.response, 202);
  let edits: readonly Edit[];
  try {
    edits = openHandlesOfOthers(envelope, taskScopeOf(exchange), exchange.context);
  } catch (error) {
    throw await recordUnfit(exchange, { envelope, rule, judged }, error);
  }
  if (envelope.method === "notifications/cancelled") markCancelled(exchange, requestIdOf(envelope));
  forward(exchange, envelope, edits);
}

function requestIdOf({ bytes, params }: NotificationEnvelope): unknown {
  return valueAt(bytes, memberOf(params, "requestId"));
}

function forward(exchange: Exchange, envelope: NotificationEnvelope | ResponseEnvelope, edits: readonly Edit[]): void {
  const method = one(exchange.request.headers["mcp-method"]);
  const modern = method === undefined || envelope.kind === "response" ? [] : ["mcp-method", envelope.method];
  const headers = postHeaders(exchange, modern);
  exchange.send({ method: "POST", headers, ...edited(envelope, edits) }, new AnswerSink(exchange));
}

function edited(envelope: Envelope, edits: readonly Edit[]): Pick<UpstreamRequest, "body" | "message"> {
  if (edits.length === 0) return { body: envelope.bytes, message: envelope };
  return { body: splice(envelope.bytes, edits) };
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
    details: { method: context.maskName(envelope.method.toWellFormed()) },
  });
  await recordDenial(context, { draft, reason: "unknown_method", ...askedBy(exchange) });
  // 2026-07-28 answers an unknown method with 404, the session revisions within HTTP 200; a notification has no answer to be in.
  const status = envelope.kind === "notification" ? 400 : modern ? 404 : 200;
  return new RpcRefusal({ status, code: RPC_CODES.methodNotFound, message: "the method is not known to the gateway" });
}
