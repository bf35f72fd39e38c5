import { bindingHashOf } from "./approval-binding.ts";
import { canAsk, questionOf } from "./approval-question.ts";
import { partiesOf, type ApprovalClaim, type ApprovalStore, type HeldCall } from "./approvals.ts";
import type { ApprovedCall } from "./continuations.ts";
import { memberOf, textAt, type RequestEnvelope } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import { hashArguments } from "./hash-arguments.ts";
import { type Decided, type Tie, tied, toDeniedRefusal, toFullRefusal, toRefusal } from "./held-refusal.ts";
import { startProgress } from "./held-progress.ts";
import { answerRefusal, draftOf, judge, payloadOf, recordRefusal, type Judged, type Refusal } from "./judge.ts";

/** A call that a policy holds. */
export interface Hold {
  readonly exchange: Exchange;
  readonly envelope: RequestEnvelope;
  readonly judged: Judged;
  readonly isModern: boolean;
  /** What the person behind a stateless client said to our question. */
  readonly answer: "accept" | "decline" | undefined;
}

/** A call that may be sent, with its approval where it needed one. */
export type Released = Judged & { readonly approved?: ApprovedCall | undefined };

interface Waiting {
  readonly approvals: ApprovalStore;
  /** The client took its request back. */
  readonly taken: AbortSignal;
}

interface Claimed {
  readonly claim: ApprovalClaim;
  /** Of the call as it was claimed. */
  readonly bindingHash: string;
}

/**
 * Uses up the approval of a held call, or files a request for one and waits for a person as long as the client's revision and the
 * node's limits allow. Gives the call that may be sent; undefined where none is: the client has been answered, or it is gone.
 */
export async function passHold(hold: Hold): Promise<Released | undefined> {
  const { exchange, judged } = hold;
  const { approvals, heldCalls } = exchange.context;
  using following = heldCalls.follow(exchange, hold.envelope.id);
  if (approvals === undefined) return refuse(exchange, toRefusal(decidedOf(hold, judged), undefined));
  const call = toHeldCall(hold, judged);
  const continued = hold.isModern ? findContinued(hold, call) : undefined;
  if (continued !== undefined) return { ...judged, approved: continued };
  const waiting = { approvals, taken: following.taken };
  const { claim, bindingHash } = await claimCall(call, approvals);
  if (claim.state !== "pending") return finish(hold, { judged, claim, bindingHash }, waiting);
  const held = toRefusal(decidedOf(hold, judged), claim);
  await recordRefusal(exchange, held);
  // A call of a running skill waits in every revision: nobody is there to be asked, and the run's clock stands still.
  const isOfSkill = exchange.parent?.onHeld !== undefined;
  if (hold.isModern && hold.answer === undefined && !isOfSkill) return ask(hold, held, claim);
  if (hold.answer === "decline") return tell(exchange, held);
  const end = await waitFor(hold, claim, waiting);
  if (end !== "decided") return end === "gone" ? undefined : tell(exchange, held);
  return passAgain(hold, claim, waiting);
}

/** The approved call that this message continues with what its upstream asked for. */
function findContinued({ exchange, envelope }: Hold, call: HeldCall): ApprovedCall | undefined {
  const { context, scope } = exchange;
  const sealed = textAt(envelope.bytes, memberOf(envelope.params, "requestState"));
  const state = sealed === undefined ? undefined : context.sealer.open("state", scope, sealed);
  return context.continuations.take(envelope, { bindingHash: bindingHashOf(call), state, now: context.clock.now() });
}

/** After a person decided: everything may have changed meanwhile, so the call is decided anew and its approval claimed. */
async function passAgain(hold: Hold, tie: Tie, waiting: Waiting): Promise<Released | undefined> {
  const { exchange, envelope } = hold;
  if (!exchange.refresh()) return undefined;
  const judged = judge(exchange, envelope, hold.judged.rule);
  if (waiting.taken.aborted) return recordLost(hold, judged, { tie, reason: "client_cancelled" });
  if (judged.decision.effect === "allow") return { ...judged, approved: toApproved(hold, judged, tie) };
  if (judged.decision.effect === "deny") return refuse(exchange, toRefusal(decidedOf(hold, judged), tie));
  return passAnew(hold, judged, waiting);
}

/** Held as of now: only an approval of exactly this call lets it through, and nobody is waited for. */
async function passAnew(hold: Hold, judged: Judged, waiting: Waiting): Promise<Released | undefined> {
  const { claim, bindingHash } = await claimCall(toHeldCall(hold, judged), waiting.approvals);
  // Another identical call was quicker, or this is another call by now: it needs a word of its own.
  if (claim.state === "pending") return refuse(hold.exchange, toRefusal(decidedOf(hold, judged), claim));
  return finish(hold, { judged, claim, bindingHash }, waiting);
}

/** Keeps what was claimed: until the claim is back, the exchange may have got a caller with other rights. */
async function claimCall(call: HeldCall, approvals: ApprovalStore): Promise<Claimed> {
  const bindingHash = bindingHashOf(call);
  return { bindingHash, claim: await approvals.claim(call) };
}

async function finish(
  hold: Hold,
  { judged, claim, bindingHash }: Claimed & { readonly judged: Judged },
  waiting: Waiting,
): Promise<Released | undefined> {
  const { exchange, envelope } = hold;
  if (claim.state === "full") return refuse(exchange, toFullRefusal(decidedOf(hold, judged)));
  if (claim.state !== "approved") return refuse(exchange, toDeniedRefusal(decidedOf(hold, judged), claim));
  if (!exchange.refresh()) return recordLost(hold, judged, { tie: claim, reason: "client_disconnected" });
  const now = judge(exchange, envelope, judged.rule);
  if (waiting.taken.aborted) return recordLost(hold, now, { tie: claim, reason: "client_cancelled" });
  if (now.decision.effect === "deny") return refuse(exchange, toRefusal(decidedOf(hold, now), claim));
  // What was approved is not what would be sent now.
  const isOther = bindingHashOf(toHeldCall(hold, now)) !== bindingHash;
  if (now.decision.effect === "held" && isOther) return passAnew(hold, now, waiting);
  // What a person took to decide is no time that the gateway added.
  exchange.receivedAt = performance.now();
  return { ...now, approved: toApproved(hold, now, claim) };
}

function ask({ exchange, envelope }: Hold, held: Refusal, { approvalId }: Tie): undefined {
  if (canAsk(envelope)) exchange.answer(questionOf(exchange, { approvalId, message: held.message }));
  else answerRefusal(exchange, held);
}

/** The hold is on record already. */
function tell(exchange: Exchange, held: Refusal): undefined {
  answerRefusal(exchange, held);
}

async function waitFor({ exchange, envelope }: Hold, { approvalId }: Tie, { approvals, taken }: Waiting) {
  const stopProgress = startProgress(exchange, envelope);
  exchange.parent?.onHeld?.(approvalId);
  try {
    return await exchange.context.heldCalls.wait(exchange, { approvalId, taken, approvals });
  } finally {
    stopProgress();
  }
}

async function refuse(exchange: Exchange, refusal: Refusal): Promise<undefined> {
  await recordRefusal(exchange, refusal);
  answerRefusal(exchange, refusal);
}

/** The client went, or took its call back, in the meantime: nothing is sent, and the log says so. */
async function recordLost(
  hold: Hold,
  judged: Judged,
  { tie, reason }: { readonly tie: Tie; readonly reason: "client_disconnected" | "client_cancelled" },
): Promise<undefined> {
  const { exchange, envelope } = hold;
  const draft = tied(draftOf(exchange, envelope, judged), tie);
  await exchange.context.audit.record({ ...draft, outcome: "error", reason, durationMs: 0 });
  if (reason === "client_cancelled") answerRefusal(exchange, toRefusal(decidedOf(hold, hold.judged), tie));
}

function decidedOf({ exchange, envelope }: Hold, judged: Judged): Decided {
  const { target } = judged.question;
  const draft = draftOf(exchange, envelope, judged);
  return { agent: exchange.caller.agent, target, decision: judged.decision, draft };
}

function toApproved(hold: Hold, judged: Judged, { correlationId, approvalId }: Tie): ApprovedCall {
  return { correlationId, approvalId, bindingHash: bindingHashOf(toHeldCall(hold, judged)) };
}

function toHeldCall({ exchange, envelope }: Hold, judged: Judged): HeldCall {
  const { snapshot, agent, server } = exchange.caller;
  const { question, decision } = judged;
  const { target, action } = question;
  return {
    ...partiesOf(snapshot, agent.agent),
    server: { id: server.server.id, name: server.server.name },
    action,
    target,
    requester: null,
    toolDigest: target.type === "tool" ? server.toolByName.get(target.name)?.digest : undefined,
    argumentsHash: hashArguments(boundText(envelope)),
    // Who decides sees each text to its end: an agent chooses what stands behind the place where the log cuts.
    payload: payloadOf(exchange, envelope, { ...judged, textCharactersMax: Infinity }),
    policies: decision.policies,
    correlationId: draftOf(exchange, envelope, judged).correlationId,
  };
}

/** What about a message besides its name is its own: the arguments of a call, all parameters of any other method. */
function boundText({ bytes, method, params }: RequestEnvelope): string {
  const isCall = method === "tools/call" || method === "prompts/get";
  if (isCall) {
    const args = memberOf(params, "arguments");
    return args === undefined ? "{}" : bytes.toString("utf8", args.start, args.end);
  }
  const own = (params?.members ?? []).filter(({ name }) => name !== "_meta");
  return `{${own.map(({ name, start, end }) => `${JSON.stringify(name)}:${bytes.toString("utf8", start, end)}`).join(",")}}`;
}
