import { decide, toQuestion, type Target } from "./decide.ts";
import { memberOf, textAt, valueAt, type NotificationEnvelope, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { namesClientTasks, sealOwnHandles } from "./handles.ts";
import { errorMessage } from "./http/respond.ts";
import { SERVER_NOTIFICATIONS, SERVER_REQUESTS } from "./methods.ts";
import { recordDenial } from "./record-denial.ts";
import { matchDetails, subjectOf, toDraft } from "./record.ts";
import { RPC_CODES } from "./rpc-refusal.ts";
import { splice, type Edit } from "./splice.ts";

/** Whether a notification of an upstream may pass to the client. Unknown ones and such about what is not assigned may not. */
export function relayServerNotification(envelope: NotificationEnvelope, exchange: Exchange): boolean {
  const rule = SERVER_NOTIFICATIONS.get(envelope.method);
  if (rule === undefined) return false;
  const uri = textAt(envelope.bytes, memberOf(envelope.params, "uri"));
  if (rule.target === "resource" && uri === undefined) return false;
  const target: Target = rule.target === "resource" ? { type: "resource", name: uri ?? "" } : serverTarget(exchange);
  const question = toQuestion(rule, target, () => undefined);
  return decide(exchange.caller, question, exchange.context.clock.now()).effect === "allow";
}

/**
 * Decides a request of an upstream (sampling, elicitation, roots). Gives the bytes for the client, once the decision is on disk;
 * undefined where it may not pass: then the upstream gets an error in the client's stead.
 */
export async function relayServerRequest(envelope: RequestEnvelope, exchange: Exchange): Promise<Buffer | undefined> {
  const rule = SERVER_REQUESTS.get(envelope.method);
  if (rule === undefined) {
    await answerForClient(envelope, exchange, {
      code: RPC_CODES.methodNotFound,
      message: "the method is not known to the gateway",
    });
    return undefined;
  }
  const { context, caller, session, scope } = exchange;
  const edits = editsOf(envelope, exchange);
  if (edits === undefined) {
    const message = "`taskId` is not one that this client was given";
    await answerForClient(envelope, exchange, { code: RPC_CODES.invalidParams, message });
    return undefined;
  }
  const target = serverTarget(exchange);
  const question = toQuestion(rule, target, () => valueAt(envelope.bytes, envelope.params));
  const decision = decide(caller, question, context.clock.now());
  const draft = toDraft(subjectOf(caller), {
    event: rule.event ?? "message.refused",
    time: context.clock.now(),
    target,
    sessionId: session?.id,
    policies: decision.policies,
    details: { method: envelope.method, ...matchDetails(decision) },
  });
  // Nobody could tell the upstream when a held request was approved: it is refused.
  if (decision.effect !== "allow") {
    const { reason } = decision;
    await recordDenial(context, { draft, reason, server: caller.server.server.name });
    await answerForClient(envelope, exchange, {
      code: RPC_CODES.denied,
      message: "the organization's rules do not allow this request",
    });
    return undefined;
  }
  if (rule.event !== undefined) await context.audit.stage(draft);
  context.serverRequests.add({
    ...scope,
    sessionId: session?.id,
    id: envelope.id,
    method: envelope.method,
    decisionId: rule.event === undefined ? undefined : draft.id,
    startedAt: context.clock.now(),
  });
  return splice(envelope.bytes, edits);
}

/** Undefined where it is about a task that is not this client's. */
function editsOf(envelope: RequestEnvelope, { scope, session, context }: Exchange): readonly Edit[] | undefined {
  if (!envelope.method.startsWith("tasks/")) return sealOwnHandles(envelope, scope, context);
  return namesClientTasks(envelope, { ...scope, sessionId: session?.id }, context) ? [] : undefined;
}

function answerForClient(
  envelope: RequestEnvelope,
  exchange: Exchange,
  error: { readonly code: number; readonly message: string },
): Promise<void> {
  return exchange.context.ownMessages.send(exchange, errorMessage(envelope.idText, error));
}

function serverTarget({ caller }: Exchange): Target {
  return { type: "server", name: caller.server.server.name };
}
