import type { ClientTaskScope } from "./client-tasks.ts";
import { decide, refusalMessage, type Decision, type Question } from "./decide.ts";
import { readMeta, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { openHandlesOfOthers, rememberClientTasks } from "./handles.ts";
import { errorMessage } from "./http/respond.ts";
import { SERVER_REQUESTS } from "./methods.ts";
import { askedBy, recordDenial } from "./record-denial.ts";
import { matchDetails, subjectOf, toDraft } from "./record.ts";
import { reasonOf } from "./refuse-unfit.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";
import type { ServerRequest } from "./server-requests.ts";
import type { Edit } from "./splice.ts";

/**
 * Lets a client's answer pass to the upstream that asked for it, once, and only while the agent may still give it: gives what
 * changes of it on its way. Throws `RpcRefusal` for every other; it is on record then.
 */
export async function admitAnswer(exchange: Exchange, envelope: ResponseEnvelope): Promise<readonly Edit[]> {
  const { context, scope, session } = exchange;
  const { id } = envelope;
  readMeta(envelope.bytes, envelope.result);
  // Before the request is taken: it stays open for an answer that can be passed on.
  const edits = await openedHandles(exchange, envelope);
  const asked = id === null ? undefined : context.serverRequests.take({ ...scope, sessionId: session?.id, id });
  if (asked === undefined) throw await refuseUnasked(exchange);
  const { question, decision } = decideAnew(exchange, asked);
  if (decision.effect !== "allow") throw await refuseAnswer(exchange, asked, { envelope, question, decision });
  rememberClientTasks(envelope, taskScopeOf(exchange), context);
  settle(exchange, asked, envelope.error === undefined ? { outcome: "success" } : REFUSED_BY_CLIENT);
  return edits;
}

/** Where the tasks that the client runs for this upstream are known. */
export function taskScopeOf({ scope, session }: Exchange): ClientTaskScope {
  return { ...scope, sessionId: session?.id };
}

async function openedHandles(exchange: Exchange, envelope: ResponseEnvelope): Promise<readonly Edit[]> {
  try {
    return openHandlesOfOthers(envelope, taskScopeOf(exchange), exchange.context);
  } catch (error) {
    const reason = reasonOf(error);
    if (reason !== undefined) await recordRefused(exchange, reason);
    throw error;
  }
}

const REFUSED_BY_CLIENT = { outcome: "error", reason: "client_refused" } as const;

/** By the rights of now: what they were when the upstream asked says nothing about what may leave now. */
function decideAnew({ caller, context }: Exchange, { method }: ServerRequest) {
  const rule = SERVER_REQUESTS.get(method);
  if (rule === undefined) throw new Error("invariant violated: only known requests are passed to clients");
  const target = { type: "server", name: caller.server.server.name } as const;
  const question: Question = { action: rule.action, target, args: () => undefined, isFollowUp: true };
  return { question, decision: decide(caller, question, context.clock.now()) };
}

async function recordRefused(exchange: Exchange, reason: string): Promise<void> {
  const { context, caller, session } = exchange;
  const facts = { event: "message.refused", time: context.clock.now(), sessionId: session?.id };
  const draft = toDraft(subjectOf(caller), { ...facts, details: { kind: "answer" } });
  await recordDenial(context, { draft, reason, ...askedBy(exchange) });
}

async function refuseUnasked(exchange: Exchange): Promise<RpcRefusal> {
  await recordRefused(exchange, "not_asked");
  return RpcRefusal.invalidRequest(
    "this answer is to no request that was sent to you in this session, or it was given before; answer each request once",
  );
}

/** The upstream waits for an answer: it gets an error in the client's stead. */
async function refuseAnswer(
  exchange: Exchange,
  asked: ServerRequest,
  { envelope, question, decision }: { envelope: ResponseEnvelope; question: Question; decision: Decision },
): Promise<RpcRefusal> {
  const { context, caller, session } = exchange;
  const reason = decision.effect === "allow" ? "unforeseen" : decision.reason;
  const { policies } = decision;
  const draft = toDraft(subjectOf(caller), {
    event: SERVER_REQUESTS.get(asked.method)?.event ?? "message.refused",
    time: context.clock.now(),
    target: question.target,
    sessionId: session?.id,
    policies,
    correlationId: asked.decisionId,
    details: { method: asked.method, ...matchDetails(decision) },
  });
  await recordDenial(context, { draft, reason, ...askedBy(exchange) });
  settle(exchange, asked, { outcome: "error", reason: "right_lost" });
  const message = "the organization's rules do not allow this request";
  await context.ownMessages.send(
    exchange,
    errorMessage(JSON.stringify(envelope.id), { code: RPC_CODES.denied, message }),
  );
  const data = { type: "runlayer.denied", reason, policies, correlationId: draft.correlationId };
  const code = RPC_CODES.denied;
  return new RpcRefusal({ status: 400, code, message: refusalMessage(caller, question, decision) }, { data });
}

function settle(
  { context }: Exchange,
  { decisionId, startedAt }: ServerRequest,
  end: { readonly outcome: "success" | "error"; readonly reason?: string },
): void {
  if (decisionId === undefined) return;
  context.audit.settle(decisionId, { ...end, durationMs: context.clock.now() - startedAt });
}
