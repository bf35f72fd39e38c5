import { decide, refusalMessage, type Decision, type Question } from "./decide.ts";
import {
  memberOf,
  membersAt,
  membersLike,
  textAt,
  valueAt,
  type RequestEnvelope,
  type ResponseEnvelope,
} from "./envelope/envelope.ts";
import type { Member } from "./envelope/json-scanner.ts";
import type { Exchange } from "./exchange.ts";
import { SERVER_REQUESTS, type MethodRule } from "./methods.ts";
import { recordDenial } from "./record-denial.ts";
import { matchDetails, subjectOf, toDraft } from "./record.ts";
import { RPC_CODES, RpcRefusal } from "./rpc-refusal.ts";

/** What may stand in `inputRequests`, by what its answer looks like: answers do not say what they answer. */
const METHOD_BY_MEMBER = new Map([
  ["action", "elicitation/create"],
  ["roots", "roots/list"],
  ["role", "sampling/createMessage"],
  ["model", "sampling/createMessage"],
]);
const OTHER_METHOD = "sampling/createMessage";

/**
 * Decides what an upstream asks within its answer (2026-07-28, multi round-trip requests), as if it had sent each request by
 * itself. Undefined where it asks nothing; else resolves, when the decisions are durable, to the refusal of the first that may
 * not pass, if one may not.
 */
export function decideInputRequests(
  { bytes, result }: ResponseEnvelope,
  exchange: Exchange,
): Promise<RpcRefusal | undefined> | undefined {
  const asked = membersAt(bytes, memberOf(result, "inputRequests"));
  if (asked.length === 0) return undefined;
  const questions = asked.map((one) => toAsked(bytes, one, exchange));
  return decideAll(questions, exchange);
}

/** Decides what a client answers to such requests, by its rights of now. Throws `RpcRefusal` for what it may not send. */
export async function admitInputResponses({ bytes, params }: RequestEnvelope, exchange: Exchange): Promise<void> {
  const answers = membersAt(bytes, memberOf(params, "inputResponses"));
  const methods = new Set(answers.flatMap(answeredMethods));
  const questions = [...methods].map((method): Asked => {
    const rule = SERVER_REQUESTS.get(method);
    return { method, rule, question: rule && { ...questionOf(rule, exchange, () => undefined), isFollowUp: true } };
  });
  const refusal = await decideAll(questions, exchange, { isAnswer: true });
  if (refusal !== undefined) throw refusal;
}

interface Asked {
  readonly method: string;
  readonly rule: MethodRule | undefined;
  readonly question: Question | undefined;
}

function toAsked(bytes: Buffer, one: Member, exchange: Exchange): Asked {
  // A name that comes twice could be read in two ways: then it is no known method.
  const [named, ...others] = membersLike(one, "method");
  const method = (named?.name === "method" && others.length === 0 ? textAt(bytes, named) : undefined) ?? "";
  const rule = method === "ping" ? undefined : SERVER_REQUESTS.get(method);
  const args = (): unknown => valueAt(bytes, memberOf(one, "params"));
  return { method, rule, question: rule && questionOf(rule, exchange, args) };
}

/** Every method that the answer could be taken as an answer to: each has to be allowed. */
function answeredMethods(answer: Member): readonly string[] {
  const fitting = [...METHOD_BY_MEMBER].filter(([name]) => membersLike(answer, name).length > 0);
  return fitting.length === 0 ? [OTHER_METHOD] : fitting.map(([, method]) => method);
}

function questionOf({ action }: MethodRule, { caller }: Exchange, args: () => unknown): Question {
  return { action, target: { type: "server", name: caller.server.server.name }, args };
}

async function decideAll(
  questions: readonly Asked[],
  exchange: Exchange,
  { isAnswer = false } = {},
): Promise<RpcRefusal | undefined> {
  const { caller, context } = exchange;
  for (const { method, rule, question } of questions) {
    if (rule === undefined || question === undefined) return unknownRequest();
    const decision = decide(caller, question, context.clock.now());
    if (decision.effect !== "allow") return refuse(exchange, { method, rule, question }, decision);
    // An answer is part of the call that it comes with; what was asked is an event of its own.
    if (!isAnswer && rule.event !== undefined)
      await context.audit.record({ ...draftOf(exchange, { method, rule, question }, decision), outcome: "success" });
  }
  return undefined;
}

async function refuse(
  exchange: Exchange,
  asked: { readonly method: string; readonly rule: MethodRule; readonly question: Question },
  decision: Decision,
): Promise<RpcRefusal> {
  const { context, caller } = exchange;
  const reason = decision.effect === "allow" ? "unforeseen" : decision.reason;
  const { policies } = decision;
  const draft = draftOf(exchange, asked, decision);
  await recordDenial(context, { draft, reason, server: caller.server.server.name });
  const message = refusalMessage(caller, asked.question, decision);
  const data = { type: "runlayer.denied", reason, policies, correlationId: draft.correlationId };
  return new RpcRefusal({ status: 200, code: RPC_CODES.denied, message }, { data });
}

function draftOf(
  exchange: Exchange,
  { method, rule, question }: { readonly method: string; readonly rule: MethodRule; readonly question: Question },
  decision: Decision,
) {
  return toDraft(subjectOf(exchange.caller), {
    event: rule.event ?? "message.refused",
    time: exchange.context.clock.now(),
    target: question.target,
    policies: decision.policies,
    correlationId: exchange.correlationId,
    details: { method, ...matchDetails(decision) },
  });
}

function unknownRequest(): RpcRefusal {
  const message = "the server asks for something that the gateway does not know, so its answer is refused";
  return new RpcRefusal({ status: 200, code: RPC_CODES.methodNotFound, message });
}
