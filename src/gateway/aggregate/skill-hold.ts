import type { Requester } from "../../domain/approval.ts";
import { bindingHashOf } from "../approval-binding.ts";
import { partiesOf, type ApprovalClaim, type ApprovalStore, type HeldCall } from "../approvals.ts";
import type { GatewayContext } from "../context.ts";
import { hashArguments } from "../hash-arguments.ts";
import { type Decided, type Tie, tied, toDeniedRefusal, toFullRefusal, toRefusal } from "../held-refusal.ts";
import type { Refusal } from "../judge.ts";
import { type JudgedRun, recordRefusal } from "./judged-run.ts";

/** A run of a skill, and how it waits where a policy holds it. */
export interface RunHold {
  readonly context: GatewayContext;
  readonly input: unknown;
  /** Null where the agent itself asks. */
  readonly requester: Requester | null;
  /** The same run decided as of now, of the version that it would be now. */
  readonly judge: () => JudgedRun;
  /** `ask`: the client is asked whether it wants to wait; `return`: it comes back by itself; `none`: nobody is asked for an approval. */
  readonly patience: "wait" | "ask" | "return" | "none";
  /** The client is gone, or took its call back. */
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

/** `passed`: it MUST be run now, an approval of it is used up. `refused` is on record already. */
export type RunOutcome =
  | { readonly status: "passed"; readonly judged: JudgedRun }
  | { readonly status: "refused"; readonly refusal: Refusal }
  | { readonly status: "asked"; readonly approvalId: string; readonly message: string };

const PROGRESS_MS = 5000;

/** Lets a run start that is allowed, or that a person has approved. */
export async function passRun(hold: RunHold, judged: JudgedRun): Promise<RunOutcome> {
  const { effect } = judged.decision;
  if (effect === "allow") return { status: "passed", judged };
  return effect === "held" ? passHold(hold, judged) : refuse(hold, toRefusal(decidedOf(judged), undefined));
}

/** As for messages: uses up the approval of exactly this run, or files a request for one and waits as far as the client can. */
async function passHold(hold: RunHold, judged: JudgedRun): Promise<RunOutcome> {
  const { approvals } = hold.context;
  if (approvals === undefined || hold.patience === "none") return refuse(hold, toRefusal(decidedOf(judged), undefined));
  const claim = await approvals.claim(toHeldCall(hold, judged));
  if (claim.state !== "pending") return finish(hold, { judged, claim }, approvals);
  const refusal = toRefusal(decidedOf(judged), claim);
  await recordRefusal(refusal, hold.context);
  if (hold.patience === "ask") return { status: "asked", approvalId: claim.approvalId, message: refusal.message };
  if (hold.patience === "return") return { status: "refused", refusal };
  const end = await waitFor(hold, { agentId: judged.asker.agent.agent.id, ...claim }, approvals);
  return end === "decided" ? passAgain(hold, claim, approvals) : { status: "refused", refusal };
}

/** After a person decided: everything may have changed meanwhile, the version too, so that the run is decided anew. */
async function passAgain(hold: RunHold, tie: Tie, approvals: ApprovalStore): Promise<RunOutcome> {
  const judged = hold.judge();
  if (hold.signal.aborted) return lose(hold, judged, tie);
  if (judged.decision.effect === "allow") return passed(judged, tie);
  if (judged.decision.effect === "deny") return refuse(hold, toRefusal(decidedOf(judged), tie));
  return passAnew(hold, judged, approvals);
}

/** Held as of now: only an approval of exactly this run lets it start, and nobody is waited for. */
async function passAnew(hold: RunHold, judged: JudgedRun, approvals: ApprovalStore): Promise<RunOutcome> {
  const claim = await approvals.claim(toHeldCall(hold, judged));
  // Another equal run was quicker, or this is another run by now: it needs a word of its own.
  if (claim.state === "pending") return refuse(hold, toRefusal(decidedOf(judged), claim));
  return finish(hold, { judged, claim }, approvals);
}

async function finish(
  hold: RunHold,
  { judged, claim }: { readonly judged: JudgedRun; readonly claim: ApprovalClaim },
  approvals: ApprovalStore,
): Promise<RunOutcome> {
  if (claim.state === "full") return refuse(hold, toFullRefusal(decidedOf(judged)));
  if (claim.state !== "approved") return refuse(hold, toDeniedRefusal(decidedOf(judged), claim));
  if (hold.signal.aborted) return lose(hold, judged, claim);
  const now = hold.judge();
  if (now.decision.effect === "deny") return refuse(hold, toRefusal(decidedOf(now), claim));
  // What was approved is not what would run now.
  const isOther = bindingHashOf(toHeldCall(hold, now)) !== bindingHashOf(toHeldCall(hold, judged));
  if (now.decision.effect === "held" && isOther) return passAnew(hold, now, approvals);
  return passed(now, claim);
}

function passed(judged: JudgedRun, tie: Tie): RunOutcome {
  return { status: "passed", judged: { ...judged, draft: tied(judged.draft, tie) } };
}

async function refuse({ context }: RunHold, refusal: Refusal): Promise<RunOutcome> {
  await recordRefusal(refusal, context);
  return { status: "refused", refusal };
}

/** The client went in the meantime: nothing runs, and the log says so. */
async function lose({ context }: RunHold, judged: JudgedRun, tie: Tie): Promise<RunOutcome> {
  const refusal = toRefusal(decidedOf(judged), tie);
  await context.audit.record({ ...refusal.draft, outcome: "error", reason: "client_disconnected", durationMs: 0 });
  return { status: "refused", refusal };
}

async function waitFor(
  { context, signal, onProgress }: RunHold,
  { agentId, approvalId }: Tie & { readonly agentId: string },
  approvals: ApprovalStore,
) {
  const tell = (): void => onProgress("waiting for a person to approve this run");
  tell();
  const timer = setInterval(tell, PROGRESS_MS);
  try {
    return await context.heldCalls.waitForRun({ agentId, approvalId, approvals, signal, onProblem: context.onProblem });
  } finally {
    clearInterval(timer);
  }
}

function decidedOf({ asker, view, decision, draft }: JudgedRun): Decided {
  return { agent: asker.agent, target: { type: "skill", name: view.skill.name }, decision, draft };
}

function toHeldCall({ input, requester }: RunHold, { asker, view, decision, payload, draft }: JudgedRun): HeldCall {
  const { snapshot, agent } = asker;
  const { skill, serving } = view;
  return {
    ...partiesOf(snapshot, agent.agent),
    server: null,
    action: "run_skill",
    target: { type: "skill", id: skill.id, name: skill.name, version: serving.version },
    requester,
    toolDigest: serving.digest,
    // The function gets exactly what this text says.
    argumentsHash: hashArguments(JSON.stringify(input ?? {})),
    payload,
    policies: decision.policies,
    correlationId: draft.correlationId,
  };
}
