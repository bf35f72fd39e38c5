import type { DecisionDraft } from "../domain/audit-event.ts";
import type { NotificationEnvelope, RequestEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { UnknownHandle } from "./handles.ts";
import { draftOf, recordRefusal, type Judged } from "./judge.ts";
import type { MethodRule } from "./methods.ts";
import { subjectOf, toDraft } from "./record.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";

interface Unfit {
  readonly envelope: RequestEnvelope | NotificationEnvelope;
  readonly rule: MethodRule;
  /** Undefined where the handle would have told what is to be decided. */
  readonly judged: Judged | undefined;
}

/**
 * Puts on record that a message which the rules let through is refused for a handle that its agent was not given, or for headers
 * that say something else than its body. Resolves to `error`, for its thrower, when that is durable.
 */
export async function recordUnfit(exchange: Exchange, unfit: Unfit, error: unknown): Promise<unknown> {
  const reason = reasonOf(error);
  if (reason !== undefined)
    await recordRefusal(exchange, { draft: unfitDraft(exchange, unfit), outcome: "denied", reason });
  return error;
}

/** Undefined for what is malformed: that is no message to be decided. */
export function reasonOf(error: unknown): string | undefined {
  if (error instanceof UnknownHandle) return "unknown_handle";
  return error instanceof RpcRefusal && error.code === RPC_CODES.headerMismatch ? "header_mismatch" : undefined;
}

function unfitDraft(exchange: Exchange, { envelope, rule, judged }: Unfit): DecisionDraft {
  if (judged !== undefined) return draftOf(exchange, envelope, judged);
  const { context, caller, session, parent } = exchange;
  return toDraft(subjectOf(caller), {
    event: rule.event ?? "message.refused",
    time: context.clock.now(),
    sessionId: session?.id,
    correlationId: parent?.correlationId,
    details: { method: envelope.method },
  });
}
