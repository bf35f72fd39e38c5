import { createHash } from "node:crypto";
import type { DecisionDraft } from "../../domain/audit-event.ts";
import type { SkillVersion } from "../../domain/skill.ts";
import { toCanonicalJson } from "../../lib/canonical-json.ts";
import { isFiniteDeep } from "../../lib/json-values.ts";
import type { GatewayContext } from "../context.ts";
import { NOT_ASSIGNED } from "../decide.ts";
import { unreadRefusal } from "../fault-report.ts";
import { hashArguments } from "../hash-arguments.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import { askerOf, type Connection } from "./connections.ts";
import { HeldRuns } from "./held-runs.ts";
import { makeInnerCall, recheckInnerCall, type RunReach } from "./inner-call.ts";
import type { InnerHttp } from "./inner-http.ts";
import { detailsOf, type JudgedRun, payloadOf, toRpcRefusal } from "./judged-run.ts";
import { DROPPED } from "./made-answer.ts";
import type { InnerCall, InnerCallOptions, InnerCallOutcome, InnerRefusal, SkillResult, SkillRunner } from "./ports.ts";
import { toAggregateDraft } from "./record.ts";
import { decideSkill, findServing, type ServingSkill, type SkillAsker } from "./skill-decision.ts";
import { passRun, type RunHold, type RunOutcome } from "./skill-hold.ts";
import { judgeTrial, type TrialResult, type TrialRun } from "./skill-trial.ts";

const MINUTE_MS = 60_000;

export interface AgentRun {
  readonly connection: Connection;
  readonly view: ServingSkill;
  readonly input: unknown;
  readonly patience: RunHold["patience"];
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
  /** Whether there is room for the answer that this makes. */
  readonly fits: (result: SkillResult) => boolean;
}

/** What a run came to; `asked`: the client is to be asked whether it waits for an approval. */
export type RunAnswer =
  | SkillResult
  | { readonly status: "asked"; readonly approvalId: string; readonly message: string };

interface Started {
  readonly name: string;
  readonly version: SkillVersion;
  readonly input: unknown;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
  readonly reach: RunReach;
  readonly fits?: AgentRun["fits"] | undefined;
  /** An administrator who tries the skill: what this run was told is not told to the agent's own. */
  readonly requesterId?: string | undefined;
  readonly caller: {
    readonly agentId: string;
    readonly memberId?: string | undefined;
    readonly ip?: string | undefined;
    readonly client?: string | undefined;
  };
}

/** Every run of a skill: decided, recorded before it starts, and its calls sent on as its agent's own. */
export class SkillRuns {
  readonly #context: GatewayContext;
  readonly #runner: SkillRunner;
  readonly #http: InnerHttp;
  readonly #reaches = new Map<string, RunReach>();
  readonly #held = new HeldRuns();

  constructor(context: GatewayContext, runner: SkillRunner, http: InnerHttp) {
    this.#context = context;
    this.#runner = runner;
    this.#http = http;
  }

  /** Throws `RpcRefusal` where the agent may not run it; a failure of the skill itself is a result. */
  async run(run: AgentRun): Promise<RunAnswer> {
    const { connection, input, signal, onProgress, fits } = run;
    // It would be decided as what it is, and run as `null`.
    if (!isFiniteDeep(input)) throw new RpcRefusal(TOO_LARGE);
    const passed = await this.#pass(run);
    if (passed.status === "refused") throw toRpcRefusal(passed.refusal);
    if (passed.status === "asked") return passed;
    const { asker, view, draft } = passed.judged;
    const { skill, serving } = view;
    const { agentId, ip, client, clients } = connection;
    const caller = { agentId, memberId: asker.agent.agent.owner ?? undefined, ip, client };
    const reach = { serverIdByName: namesOf(serving), clients };
    const started = { name: skill.name, version: serving, input, signal, onProgress, reach, fits, caller };
    return this.#record(draft, started);
  }

  /** Decided as the agent's own run, and recorded with the administrator as its actor. A dry run sends no calls. */
  async trial(run: TrialRun): Promise<TrialResult> {
    const trial = await judgeTrial(run, this.#context, this.#http);
    const { correlationId } = trial.draft;
    if (trial.refused !== undefined) return { ...trial.refused, correlationId };
    const { skill, version, input, signal, agentId, actor } = run;
    const { clients, memberId } = trial;
    const started: Started = {
      name: skill.name,
      version,
      input,
      signal,
      onProgress: () => undefined,
      reach: { serverIdByName: namesOf(version), clients },
      requesterId: actor.id,
      caller: { agentId: agentId ?? "", memberId, ip: actor.ip },
    };
    try {
      return { ...(await this.#record(trial.draft, started)), correlationId };
    } finally {
      clients?.close();
    }
  }

  /** The way from a running skill to a tool. */
  async callTool(call: InnerCall, options: InnerCallOptions): Promise<InnerCallOutcome> {
    const reach = this.#reaches.get(call.caller.correlationId);
    if (reach !== undefined) return makeInnerCall(call, { ...reach, context: this.#context }, options);
    return { status: "refused", wasSent: false, error: RUN_ENDED };
  }

  /** Why the agent may not be given again what a call of an earlier part of its run was answered; undefined where it may. */
  async recheck(call: InnerCall): Promise<InnerRefusal | undefined> {
    const reach = this.#reaches.get(call.caller.correlationId);
    return reach === undefined ? RUN_ENDED : recheckInnerCall(call, reach, this.#context);
  }

  async #pass(run: AgentRun): Promise<RunOutcome> {
    const { input, patience, signal, onProgress } = run;
    const judge = (): JudgedRun => this.#judge(run, this.#latest(run));
    const hold = { context: this.#context, input, requester: null, judge, patience, signal, onProgress };
    return passRun(hold, this.#judge(run, run.view));
  }

  #judge({ connection, view, input }: AgentRun, current: ServingSkill | undefined): JudgedRun {
    const { clock } = this.#context;
    const asker = askerOf(connection, this.#context);
    const shown = current ?? view;
    const nowMs = clock.now();
    // A skill that is gone is none of the agent's.
    const decision = current === undefined ? NOT_ASSIGNED : decideSkill(asker, shown, { args: input, nowMs });
    const payload = payloadOf(input, decision.audit, this.#context);
    const draft = toAggregateDraft(asker, {
      event: "skill.run",
      time: nowMs,
      resource: { type: "skill", id: shown.skill.id, name: shown.skill.name },
      sessionId: connection.sessionId,
      policies: decision.policies,
      details: detailsOf(shown.serving, payload, decision),
    });
    return { asker, view: shown, decision, payload, draft };
  }

  /** The skill as the agent gets it now; undefined where there is nothing of it to run any more. */
  #latest({ connection, view }: AgentRun): ServingSkill | undefined {
    const asker: SkillAsker = askerOf(connection, this.#context);
    const known = asker.snapshot.skillById.get(view.skill.id);
    const latest = known === undefined ? undefined : findServing(asker, known);
    return latest?.serving.content.function === undefined ? undefined : latest;
  }

  async #record(draft: DecisionDraft, started: Started): Promise<SkillResult> {
    const { audit } = this.#context;
    await audit.stage(draft);
    const begun = performance.now();
    let result: SkillResult;
    try {
      result = await this.#start(started, draft.correlationId);
    } catch (error) {
      audit.settle(draft.id, { outcome: "error", reason: "internal", durationMs: performance.now() - begun });
      throw error;
    }
    const isDropped = started.fits?.(result) === false;
    const end = isDropped ? { ...toEnd(result), ...DROPPED } : toEnd(result);
    audit.settle(draft.id, { ...end, durationMs: performance.now() - begun });
    if (isDropped) throw unreadRefusal(draft.correlationId);
    return result;
  }

  async #start(started: Started, correlationId: string): Promise<SkillResult> {
    const { reach, caller, requesterId: _, fits: __, ...run } = started;
    const { clock, liveView } = this.#context;
    const key = keyOf(started);
    this.#reaches.set(correlationId, reach);
    try {
      const held = this.#held.take(key, clock.now());
      const journal = held?.journal ?? [];
      const result = await this.#runner.run({ ...run, caller: { ...caller, correlationId }, journal });
      // It did not go on: its client had gone, or the node has no room. Whoever comes again repeats no call either.
      if (held !== undefined && result.status === "failed" && result.usage.calls === 0) this.#held.putBack(key, held);
      if (result.status === "held") {
        // So long a question waits, and then so long its permission.
        const ttlMs = 2 * liveView.current.organization.settings.approvalTtlMinutes * MINUTE_MS;
        this.#held.keep(key, { agentId: caller.agentId, journal: result.journal, nowMs: clock.now(), ttlMs });
      }
      return result;
    } finally {
      this.#reaches.delete(correlationId);
    }
  }
}

const TOO_LARGE = {
  status: 200,
  code: RPC_CODES.invalidParams,
  message: "the input of the skill holds a number that is too large for a double; send it as text",
} as const;

const RUN_ENDED: InnerRefusal = { code: "timeout", message: "the run has ended" };

function namesOf({ content }: SkillVersion): ReadonlyMap<string, string> {
  return new Map(content.servers.map(({ id, name }) => [name, id]));
}

/** The same skill version, agent, members and input: what a run that was held is continued by. */
function keyOf({ version, caller, requesterId, input }: Started): string {
  const { agentId, memberId = null } = caller;
  const parts = [version.skillId, version.version, agentId, memberId, requesterId ?? null];
  // As the hold counts them: canonical JSON holds neither half a surrogate pair nor what is beyond a double.
  parts.push(hashArguments(JSON.stringify(input ?? null)));
  return createHash("sha256").update(toCanonicalJson(parts)).digest("hex");
}

function toEnd(result: SkillResult) {
  const { calls, cpuMs } = result.usage;
  if (result.status === "completed") return { outcome: "success", details: { calls, cpuMs } } as const;
  const { code, details } = result.error;
  const isHeld = result.status === "held";
  const why = details?.["policies"] === undefined ? {} : { policies: details["policies"] };
  return {
    outcome: isHeld ? "held" : "error",
    reason: isHeld ? "policy" : code,
    details: { calls, cpuMs, errorCode: code, ...why, ...(isHeld ? { approvalId: result.approvalId } : {}) },
  } as const;
}
