import { createHash } from "node:crypto";
import { keyStatus } from "../../domain/api-key.ts";
import type { Actor, DecisionDraft } from "../../domain/audit-event.ts";
import type { Skill, SkillVersion } from "../../domain/skill.ts";
import { toCanonicalJson } from "../../lib/canonical-json.ts";
import { AppError } from "../../lib/errors.ts";
import { newId } from "../../lib/ids.ts";
import { createLruCache } from "../../lib/lru-cache.ts";
import type { AgentView, Snapshot } from "../../snapshot/snapshot.ts";
import type { GatewayContext } from "../context.ts";
import { toPayload } from "../record.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";
import type { Connection } from "./connections.ts";
import { makeInnerCall, type RunReach } from "./inner-call.ts";
import { InnerClients } from "./inner-clients.ts";
import type { InnerHttp } from "./inner-http.ts";
import type { InnerCall, InnerCallOptions, InnerCallOutcome, Journal, SkillResult, SkillRunner } from "./ports.ts";
import { toAggregateDraft } from "./record.ts";
import { decideSkill, type ServingSkill, type SkillAsker, type SkillDecision } from "./skill-decision.ts";

/** Runs that wait for an approval and are remembered, so that running them again repeats no call. */
const HELD_MAX = 200;

export interface AgentRun {
  readonly asker: SkillAsker;
  readonly connection: Connection;
  readonly view: ServingSkill;
  readonly input: unknown;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
}

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

export type TrialResult = SkillResult;

interface Started {
  readonly name: string;
  readonly version: SkillVersion;
  readonly input: unknown;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
  readonly reach: RunReach;
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
  readonly #held = createLruCache<Journal>(HELD_MAX);

  constructor(context: GatewayContext, runner: SkillRunner, http: InnerHttp) {
    this.#context = context;
    this.#runner = runner;
    this.#http = http;
  }

  /** Throws `RpcRefusal` where the agent may not run it; a failure of the skill itself is a result. */
  async run({ asker, connection, view, input, signal, onProgress }: AgentRun): Promise<SkillResult> {
    const { clock } = this.#context;
    const decision = decideSkill(asker, view, { args: input, nowMs: clock.now() });
    const { skill, serving } = view;
    const draft = toAggregateDraft(asker, {
      event: "skill.run",
      time: clock.now(),
      resource: { type: "skill", id: skill.id, name: skill.name },
      sessionId: connection.sessionId,
      policies: decision.policies,
      details: this.#details(serving, input),
    });
    if (decision.effect !== "allow") throw await this.#refuse(draft, { asker, skill, decision });
    const { agentId, ip, client } = connection;
    const caller = { agentId, memberId: asker.agent.agent.owner ?? undefined, ip, client };
    const reach = { serverIdByName: namesOf(serving), clients: connection.clients };
    return this.#record(draft, { name: skill.name, version: serving, input, signal, onProgress, reach, caller });
  }

  /** Recorded with the administrator as its actor. A dry run sends no calls. */
  async trial(run: TrialRun): Promise<TrialResult> {
    const { skill, version, input, agentId, actor, correlationId, isDryRun, signal } = run;
    const { liveView, clock } = this.#context;
    const agent = agentId === undefined ? undefined : liveView.current.agentById.get(agentId);
    const clients = agent === undefined || isDryRun ? undefined : this.#clientsOf(agent, liveView.current);
    const named = agent === undefined ? {} : { agent: { id: agent.agent.id, name: agent.agent.name } };
    const draft: DecisionDraft = {
      id: newId(),
      time: clock.now(),
      actor,
      action: "skill.run",
      resource: { type: "skill", id: skill.id, name: skill.name },
      correlationId,
      details: { ...this.#details(version, input), ...named, isTrial: true },
    };
    const caller = { agentId: agentId ?? "", memberId: agent?.agent.owner ?? undefined };
    const reach = { serverIdByName: namesOf(version), clients };
    const started = { name: skill.name, version, input, signal, onProgress: () => undefined, reach, caller };
    try {
      return isDryRun ? await this.#start(started, correlationId) : await this.#record(draft, started);
    } finally {
      clients?.close();
    }
  }

  /** The way from a running skill to a tool. */
  async callTool(call: InnerCall, options: InnerCallOptions): Promise<InnerCallOutcome> {
    const reach = this.#reaches.get(call.caller.correlationId);
    if (reach !== undefined) return makeInnerCall(call, reach, options);
    return { status: "refused", wasSent: false, error: { code: "timeout", message: "the run has ended" } };
  }

  async #record(draft: DecisionDraft, started: Started): Promise<SkillResult> {
    const { audit } = this.#context;
    await audit.stage(draft);
    const begun = performance.now();
    try {
      const result = await this.#start(started, draft.correlationId);
      const end = toEnd(result);
      audit.settle(draft.id, { ...end, durationMs: performance.now() - begun });
      return result;
    } catch (error) {
      audit.settle(draft.id, { outcome: "error", reason: "internal", durationMs: performance.now() - begun });
      throw error;
    }
  }

  async #start(started: Started, correlationId: string): Promise<SkillResult> {
    const { reach, caller, ...run } = started;
    const key = keyOf(started);
    this.#reaches.set(correlationId, reach);
    try {
      const journal = this.#held.get(key) ?? [];
      const result = await this.#runner.run({ ...run, caller: { ...caller, correlationId }, journal });
      this.#held.set(key, result.status === "held" ? result.journal : []);
      return result;
    } finally {
      this.#reaches.delete(correlationId);
    }
  }

  async #refuse(
    draft: DecisionDraft,
    { asker, skill, decision }: { asker: SkillAsker; skill: Skill; decision: SkillDecision },
  ): Promise<RpcRefusal> {
    const { effect, reason, policies } = decision;
    await this.#context.audit.record({ ...draft, outcome: effect === "held" ? "held" : "denied", reason });
    const names = policies.map(({ name }) => `\`${name}\``).join(", ");
    const because = policies.length === 0 ? "it is not in its assignment, or no policy allows it" : `policy ${names}`;
    const isHeld = effect === "held";
    return new RpcRefusal(
      {
        status: 200,
        code: isHeld ? RPC_CODES.approvalPending : RPC_CODES.denied,
        message: `agent \`${asker.agent.agent.name}\` may not run skill \`${skill.name}\`: ${because}; ask an administrator of this gateway`,
      },
      {
        data: {
          type: isHeld ? "runlayer.approval_pending" : "runlayer.denied",
          reason,
          policies,
          correlationId: draft.correlationId,
        },
      },
    );
  }

  #details(version: SkillVersion, input: unknown): Readonly<Record<string, unknown>> {
    const { liveView, maskSecrets } = this.#context;
    const bytes = Buffer.from(JSON.stringify(input ?? {}));
    const payload = toPayload(bytes, liveView.current.organization.settings.auditPayloads, maskSecrets);
    return { version: version.version, digest: version.digest, ...payload };
  }

  /** A trial uses a key of the agent as its own calls do: without one there is nothing to be recorded and cut off by. */
  #clientsOf({ agent }: AgentView, snapshot: Snapshot): InnerClients {
    const { clock } = this.#context;
    const now = clock.now();
    const key = [...snapshot.keyById.values()].find(
      (candidate) => candidate.agentId === agent.id && keyStatus(candidate, now) === "active",
    );
    if (key === undefined || agent.status !== "active") {
      throw new AppError(
        "conflict",
        `agent \`${agent.name}\` is suspended or has no active key, so nothing can run as it`,
      );
    }
    return new InnerClients(this.#http, { agentId: agent.id, keyId: key.id, ip: undefined, client: "run_skill" });
  }
}

function namesOf({ content }: SkillVersion): ReadonlyMap<string, string> {
  return new Map(content.servers.map(({ id, name }) => [name, id]));
}

/** The same skill version, agent and input: what a run that was held is continued by. */
function keyOf({ version, caller, input }: Started): string {
  const parts = [version.skillId, version.version, caller.agentId, input ?? null];
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
