import type { DecisionDraft, Outcome } from "../domain/audit-event.ts";
import { newId } from "../lib/ids.ts";
import { once } from "../lib/once.ts";
import { decide, refusalMessage, toQuestion, type DecidingPolicy, type Decision, type Question } from "./decide.ts";
import type { Target } from "./decide.ts";
import { memberOf, valueAt, type NotificationEnvelope, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Member } from "./envelope/json-scanner.ts";
import type { Exchange } from "./exchange.ts";
import { toolOfTask, UnknownHandle } from "./handles.ts";
import { errorMessage } from "./http/respond.ts";
import type { MethodRule } from "./methods.ts";
import { askedBy, recordDenial } from "./record-denial.ts";
import { matchDetails, subjectOf, toDraft, toPayload } from "./record.ts";
import { RPC_CODES } from "./rpc-refusal.ts";
import { readTargets } from "./targets.ts";

/** A message with what was decided about it. */
export interface Judged {
  readonly rule: MethodRule;
  readonly question: Question;
  readonly decision: Decision;
}

/**
 * Decides on everything that the message names, as of the exchange's snapshot: the first denial counts, then every hold. Throws
 * `RpcRefusal` where it names nothing that could be decided.
 */
export function judge(exchange: Exchange, envelope: RequestEnvelope | NotificationEnvelope, rule: MethodRule): Judged {
  const { scope, context, caller } = exchange;
  const targets = readTargets(rule, envelope, {
    toolOfTask: (sealed) => toolOfTask(sealed, scope, context) ?? refuseTask(),
    serverName: caller.server.server.name,
  });
  // Built at most once, whether policies ask for them or the log.
  const args = once(() => valueAt(envelope.bytes, argumentsOf(rule, envelope)));
  const judgeOne = (target: Target): Judged => {
    const question = toQuestion(rule, target, args);
    return { rule, question, decision: decide(caller, question, context.clock.now()) };
  };
  const [first, ...rest] = targets;
  let judged = judgeOne(first);
  for (const target of rest) {
    if (judged.decision.effect === "deny") break;
    judged = judgedBoth(judged, judgeOne(target));
  }
  return judged;
}

/** What comes of two parts of one message, of which the earlier is not denied. */
function judgedBoth(earlier: Judged, later: Judged): Judged {
  const isOfLater = later.decision.effect === "deny" || earlier.decision.effect === "allow";
  const judged = isOfLater ? later : earlier;
  return { ...judged, decision: ofBoth(judged.decision, isOfLater ? earlier.decision : later.decision) };
}

/** Who decides on a message, and who counts, must see every policy that decided so on some part of it, and every other that matched. */
function ofBoth(decision: Decision, other: Decision): Decision {
  const policies = decision.effect === other.effect ? unitedById(decision.policies, other.policies) : decision.policies;
  return { ...decision, policies, alsoMatched: unitedById(decision.alsoMatched ?? [], other.alsoMatched ?? []) };
}

function unitedById<T extends { readonly id: string }>(some: readonly T[], others: readonly T[]): readonly T[] {
  const added = others.filter(({ id }) => !some.some((known) => known.id === id));
  return added.length === 0 ? some : [...some, ...added];
}

function refuseTask(): never {
  throw new UnknownHandle("task");
}

/** What is recorded of an exchange with a decision. */
type Decided = Pick<Exchange, "context" | "caller" | "session" | "parent"> & { readonly time?: number };

/** The event of a decided message before its outcome, decided now unless a time is given. */
export function draftOf(
  decided: Decided,
  envelope: RequestEnvelope | NotificationEnvelope,
  judged: Judged,
): DecisionDraft {
  const { rule, question, decision } = judged;
  const { context, caller, session, parent, time = context.clock.now() } = decided;
  return toDraft(subjectOf(caller), {
    event: rule.event ?? "message.refused",
    time,
    target: { ...question.target, name: context.maskName(question.target.name) },
    // An `initialize` opens the session that its event names.
    sessionId: envelope.method === "initialize" ? newId() : session?.id,
    policies: decision.policies,
    correlationId: parent?.correlationId,
    details: {
      ...payloadOf(decided, envelope, judged),
      ...(rule.event === undefined ? { method: envelope.method } : {}),
      ...matchDetails(decision),
    },
  });
}

/** What a message asks for besides the name of a thing: the arguments of a call, the filter of a subscription. */
function argumentsOf(rule: MethodRule, { params }: RequestEnvelope | NotificationEnvelope): Member | undefined {
  return memberOf(params, rule.target === "subscription" ? "notifications" : "arguments");
}

/** What may be kept of the message's arguments; texts are cut as the log cuts them unless another length is given. */
export function payloadOf(
  { context, caller }: Pick<Exchange, "context" | "caller">,
  envelope: RequestEnvelope | NotificationEnvelope,
  { rule, question, decision, textCharactersMax }: Judged & { readonly textCharactersMax?: number },
): Readonly<Record<string, unknown>> {
  const args = argumentsOf(rule, envelope);
  if (args === undefined) return {};
  const auditPayloads = decision.audit ?? caller.snapshot.organization.settings.auditPayloads;
  const bytes = envelope.bytes.subarray(args.start, args.end);
  const payload = { bytes, value: question.args, textCharactersMax };
  return toPayload(payload, auditPayloads, context.maskSecrets);
}

export interface Refusal {
  readonly draft: DecisionDraft;
  readonly outcome: Extract<Outcome, "denied" | "held">;
  readonly reason: string;
  /** For the model and the person behind it. */
  readonly message: string;
  readonly policies: readonly DecidingPolicy[];
  readonly approvalId?: string | undefined;
}

/** Answers a message that is denied. Its event is durable first. */
export async function refuseDenied(exchange: Exchange, envelope: RequestEnvelope, judged: Judged): Promise<void> {
  const { question, decision } = judged;
  const refusal: Refusal = {
    draft: draftOf(exchange, envelope, judged),
    outcome: "denied",
    reason: decision.effect === "allow" ? "unforeseen" : decision.reason,
    message: refusalMessage(exchange.caller, question, decision),
    policies: decision.policies,
  };
  await recordRefusal(exchange, refusal);
  answerRefusal(exchange, refusal);
}

/** Resolves when the event of the refusal is durable; rejects with `unavailable` where it cannot be. */
export async function recordRefusal(
  exchange: Exchange,
  { draft, outcome, reason }: Pick<Refusal, "draft" | "outcome" | "reason">,
): Promise<void> {
  const { context, caller } = exchange;
  const durationMs = performance.now() - exchange.receivedAt;
  if (outcome === "denied") return recordDenial(context, { draft, reason, durationMs, ...askedBy(exchange) });
  await context.audit.record({ ...draft, outcome, reason, durationMs });
  context.metrics?.denied(caller.server.server.name, outcome);
}

/** Tells the client that its message is not sent on, and why (contract section 5). */
export function answerRefusal(exchange: Exchange, refusal: Refusal): void {
  const { draft, outcome, reason, message, policies, approvalId } = refusal;
  const isHeld = outcome === "held";
  const data = {
    type: isHeld ? "runlayer.approval_pending" : "runlayer.denied",
    reason,
    policies,
    correlationId: draft.correlationId,
    ...(approvalId === undefined ? {} : { approvalId }),
  };
  const code = isHeld ? RPC_CODES.approvalPending : RPC_CODES.denied;
  exchange.answer(errorMessage(exchange.idText, { code, message, data }));
}
