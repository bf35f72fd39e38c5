import { keyStatus } from "../../domain/api-key.ts";
import type { Actor, DecisionDraft } from "../../domain/audit-event.ts";
import type { Skill, SkillVersion } from "../../domain/skill.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import type { GatewayContext } from "../context.ts";
import type { Decision } from "../decide.ts";
import type { Refusal } from "../judge.ts";
import { InnerClients } from "./inner-clients.ts";
import type { InnerHttp } from "./inner-http.ts";
import { detailsOf, type JudgedRun, payloadOf } from "./judged-run.ts";
import type { SkillResult } from "./ports.ts";
import { decideSkill, type ServingSkill, type SkillAsker } from "./skill-decision.ts";
import { passRun } from "./skill-hold.ts";

/** An administrator's trial of a version, as an agent or as nobody. */
export interface TrialRun {
  readonly skill: Skill;
  readonly version: SkillVersion;
  readonly input: unknown;
  readonly agentId: string | undefined;
  readonly actor: Actor;
  readonly correlationId: string;
  readonly signal: AbortSignal;
  readonly isDryRun: boolean;
}

/** With the id that finds it in the log: of the hold, where an approval let it through. */
export type TrialResult = SkillResult & { readonly correlationId: string };

/** A trial with what was decided about it. */
export interface JudgedTrial {
  /** The event of the run before its outcome. */
  readonly draft: DecisionDraft;
  /** Set where it must not start: its result. On record already. */
  readonly refused: SkillResult | undefined;
  /** Absent where nothing may be sent. MUST be closed. */
  readonly clients: InnerClients | undefined;
  readonly memberId: string | undefined;
}

/** Decides about a trial exactly as about a run of the agent itself; a dry run is decided too, and asks for no approval. */
export async function judgeTrial(run: TrialRun, context: GatewayContext, http: InnerHttp): Promise<JudgedTrial> {
  const { skill, version, agentId, actor, isDryRun } = run;
  if (agentId === undefined) {
    const draft = draftOf(run, context, { payload: payloadOf(run.input, undefined, context) });
    return { draft, refused: undefined, clients: undefined, memberId: undefined };
  }
  const view = { skill, serving: version };
  const judge = (): JudgedRun => judgeAsAgent({ ...run, agentId }, view, context);
  const outcome = await pass(run, { judge, context });
  if (outcome.status !== "passed") {
    const { draft } = outcome.refusal;
    return { draft, refused: toResult(outcome.refusal), clients: undefined, memberId: undefined };
  }
  const { asker, draft } = outcome.judged;
  const origin = { agentId, keyId: activeKeyOf(asker, context) ?? "", ip: actor.ip, client: CLIENT };
  return {
    draft,
    refused: undefined,
    clients: isDryRun ? undefined : new InnerClients(http, origin),
    memberId: asker.agent.agent.owner ?? undefined,
  };
}

/** What inner calls of a trial say that they come from. */
const CLIENT = "run_skill";

interface Judging {
  readonly judge: () => JudgedRun;
  readonly context: GatewayContext;
}

async function pass({ input, actor, signal, isDryRun }: TrialRun, { judge, context }: Judging) {
  const { type, id, name, onBehalfOf } = actor;
  const requester = { type, id, name, ...(onBehalfOf === undefined ? {} : { onBehalfOf }) };
  const patience = isDryRun ? "none" : "return";
  const outcome = await passRun(
    { context, input, requester, judge, patience, signal, onProgress: () => undefined },
    judge(),
  );
  if (outcome.status === "asked") throw new Error("invariant violated: nobody is asked whether a trial waits");
  return outcome;
}

function judgeAsAgent(
  run: TrialRun & { readonly agentId: string },
  view: ServingSkill,
  context: GatewayContext,
): JudgedRun {
  const { liveView, clock } = context;
  const snapshot = liveView.current;
  const agent = snapshot.agentById.get(run.agentId);
  if (agent === undefined) throw new AppError("not_found", "the agent is not there any more");
  const asker: SkillAsker = { snapshot, agent, ip: run.actor.ip, client: CLIENT };
  const nowMs = clock.now();
  const decision = refusedAccess(asker, context) ?? decideSkill(asker, view, { args: run.input, nowMs });
  const payload = payloadOf(run.input, decision.audit, context);
  const { id, name } = agent.agent;
  return { asker, view, decision, payload, draft: draftOf(run, context, { payload, decision, agent: { id, name } }) };
}

/** Row 1 of the decision table: a key of the agent must let it in, and the agent must be active. */
function refusedAccess(asker: SkillAsker, context: GatewayContext): Decision | undefined {
  if (asker.agent.agent.status !== "active") return { effect: "deny", reason: "agent_suspended", policies: [] };
  return activeKeyOf(asker, context) === undefined
    ? { effect: "deny", reason: "no_active_key", policies: [] }
    : undefined;
}

/** The calls of a trial need a key of the agent, as its own do: they are recorded with it and cut off with it. */
function activeKeyOf({ snapshot, agent }: SkillAsker, { clock }: GatewayContext): string | undefined {
  const now = clock.now();
  const { id } = agent.agent;
  return [...snapshot.keyById.values()].find((key) => key.agentId === id && keyStatus(key, now) === "active")?.id;
}

interface DraftFacts {
  readonly payload: JudgedRun["payload"];
  readonly decision?: Decision | undefined;
  readonly agent?: { readonly id: string; readonly name: string } | undefined;
}

/** An event of the administrator; it names the agent. */
function draftOf(
  { skill, version, actor, correlationId, isDryRun }: TrialRun,
  { clock }: GatewayContext,
  { payload, decision, agent }: DraftFacts,
): DecisionDraft {
  const policies = decision?.policies ?? [];
  return {
    id: newId(),
    time: clock.now(),
    actor,
    action: "skill.run",
    resource: { type: "skill", id: skill.id, name: skill.name },
    policies: policies.length === 0 ? undefined : policies,
    correlationId,
    details: {
      ...detailsOf(version, payload, decision),
      ...(agent === undefined ? {} : { agent }),
      isTrial: true,
      ...(isDryRun ? { isDryRun } : {}),
    },
  };
}

function toResult({ outcome, reason, message, policies, approvalId }: Refusal): SkillResult {
  const facts = { usage: { durationMs: 0, cpuMs: 0, calls: 0 }, logs: [], journal: [] };
  const details = { reason, policies };
  if (outcome === "held")
    return { ...facts, status: "held", approvalId, error: { code: "unavailable", message, details } };
  return { ...facts, status: "failed", error: { code: "forbidden", message, details } };
}
