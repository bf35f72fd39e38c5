import type { Clock } from "../../lib/clock.ts";
import { AppError } from "../../lib/errors.ts";
import { CODE_BYTES_MAX, DEFAULT_LIMITS, type SandboxLimits } from "../sandbox/limits.ts";
import type { GuestResult, SandboxJob } from "../sandbox/protocol.ts";
import { limitExceeded, type RunError } from "../sandbox/run-error.ts";
import { Sandbox, type SandboxOptions, type SandboxRun, type SandboxStats } from "../sandbox/sandbox.ts";
import { CallBroker } from "./call-broker.ts";
import type { CallJournal } from "./call-journal.ts";
import type { DeclaredTools } from "./declared-tools.ts";
import { createHeldSlots } from "./held-slots.ts";
import type { CallerContext, RunProgress, ToolCaller } from "./ports.ts";

/** The part of a skill version that runs. */
export interface RunnableSkill extends DeclaredTools {
  readonly name: string;
  readonly code: string;
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly outputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly timeoutMs?: number | undefined;
}

export interface SkillRunRequest {
  readonly skill: RunnableSkill;
  readonly input: unknown;
  readonly caller: CallerContext;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RunProgress) => void) | undefined;
  /** Of an earlier run with the same input: its calls are answered from it instead of being made again. */
  readonly journal?: CallJournal | undefined;
}

/** Facts for the audit event and the counts. `calls` were sent in this run, `cpuMs` is the skill's own computing. */
export interface SkillRunUsage {
  readonly durationMs: number;
  readonly cpuMs: number;
  readonly calls: number;
}

interface RunFacts {
  readonly usage: SkillRunUsage;
  readonly logs: readonly string[];
  readonly journal: CallJournal;
}

/** `held`: a call waits for an approval and the run was given up; run again with `journal` once it is decided. */
export type SkillRunResult = RunFacts &
  (
    | { readonly status: "completed"; readonly output: unknown }
    | { readonly status: "failed"; readonly error: RunError }
    | { readonly status: "held"; readonly approvalId: string; readonly error: RunError }
  );

export interface SkillRunnerOptions {
  readonly toolCaller: ToolCaller;
  readonly clock: Clock;
  readonly limits?: Partial<SandboxLimits> | undefined;
  readonly sandbox?: SandboxOptions | undefined;
  /** Runs that may wait for an approval at a time on this node. Default 16. */
  readonly heldRunsMax?: number | undefined;
  /** How long a run waits for an approval before it is given up as `held`. Default five minutes. */
  readonly holdMsMax?: number | undefined;
}

/** Runs skill versions. Owns threads: `close` MUST be called. */
export interface SkillRunner {
  /** Runs a skill to its end. A failure of the skill is a result; rejects only for a bug of ours. */
  run(request: SkillRunRequest): Promise<SkillRunResult>;
  stats(): SandboxStats;
  close(): Promise<void>;
}

const HELD_RUNS_MAX = 16;
const HOLD_MS_MAX = 5 * 60_000;
/** How long a run that is given up as `held` waits for its other calls. */
const FINISH_MS_MAX = 10_000;

export function createSkillRunner(options: SkillRunnerOptions): SkillRunner {
  const sandbox = new Sandbox(options.sandbox);
  const heldSlots = createHeldSlots(options.heldRunsMax ?? HELD_RUNS_MAX, options.holdMsMax ?? HOLD_MS_MAX);
  return {
    run: async (request) => new SkillRun({ ...options, sandbox, heldSlots }, request).run(),
    stats: () => sandbox.stats(),
    close: async () => sandbox.close(),
  };
}

interface SkillRunParts {
  readonly sandbox: Sandbox;
  readonly heldSlots: ReturnType<typeof createHeldSlots>;
  readonly toolCaller: ToolCaller;
  readonly clock: Clock;
  readonly limits?: Partial<SandboxLimits> | undefined;
}

/** One run and all that is open because of it. */
class SkillRun {
  readonly #parts: SkillRunParts;
  readonly #request: SkillRunRequest;
  readonly #limits: SandboxLimits;
  readonly #broker: CallBroker;
  readonly #end = new AbortController();
  readonly #startedAt: number;
  #sandboxRun: SandboxRun | undefined;
  #logs: string[] = [];
  #approvalId: string | undefined;

  constructor(parts: SkillRunParts, request: SkillRunRequest) {
    this.#parts = parts;
    this.#request = request;
    this.#startedAt = parts.clock.now();
    const { timeoutMs } = request.skill;
    const limits = { ...DEFAULT_LIMITS, ...parts.limits };
    this.#limits = timeoutMs === undefined ? limits : { ...limits, wallMs: timeoutMs };
    this.#broker = new CallBroker({
      toolCaller: parts.toolCaller,
      caller: request.caller,
      declared: request.skill,
      limits: this.#limits,
      journal: request.journal ?? [],
      heldSlots: parts.heldSlots,
      signal: this.#end.signal,
      onProgress: (progress) => this.#report(progress),
      control: {
        pause: () => this.#sandboxRun?.pause(),
        resume: () => this.#sandboxRun?.resume(),
        stop: (error, approvalId) => this.#stop(error, approvalId),
      },
    });
  }

  async run(): Promise<SkillRunResult> {
    const { signal } = this.#request;
    // Whoever waited for an approval may come back for the rest.
    const onAbort = (): void => this.#stop(CANCELLED, this.#broker.heldBy);
    try {
      const job = toJob(this.#request, this.#limits);
      if ("code" in job && "message" in job) return this.#toResult({ ok: false, error: job, cpuMs: 0 });
      if (signal?.aborted === true) return this.#toResult({ ok: false, error: CANCELLED, cpuMs: 0 });
      this.#sandboxRun = this.#start(job);
      signal?.addEventListener("abort", onAbort, { once: true });
      const result = await this.#sandboxRun.result;
      if (this.#approvalId !== undefined) await this.#broker.finish(FINISH_MS_MAX);
      return this.#toResult(result);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      return this.#toResult({ ok: false, error: { code: error.code, message: error.message }, cpuMs: 0 });
    } finally {
      signal?.removeEventListener("abort", onAbort);
      // Calls still under way have nobody left to answer to.
      this.#end.abort();
    }
  }

  #start(job: SandboxJob): SandboxRun {
    const { agentId, memberId = "" } = this.#request.caller;
    return this.#parts.sandbox.start(job, {
      // A run that an organization key tries out is nobody's agent's.
      owner: agentId === "" ? memberId : agentId,
      call: async (request, call) => this.#broker.call(request, call),
      log: (text) => {
        this.#logs.push(text);
        this.#report({ type: "log", text });
      },
      restarted: () => {
        this.#logs = [];
        this.#broker.restarted();
      },
    });
  }

  #stop(error: RunError, approvalId?: string): void {
    this.#approvalId ??= approvalId;
    this.#sandboxRun?.stop(error);
  }

  #report(progress: RunProgress): void {
    if (!this.#end.signal.aborted) this.#request.onProgress?.(progress);
  }

  #toResult(result: GuestResult): SkillRunResult {
    const facts: RunFacts = {
      usage: {
        durationMs: this.#parts.clock.now() - this.#startedAt,
        cpuMs: result.cpuMs,
        calls: this.#broker.callsMade,
      },
      logs: this.#logs,
      journal: this.#broker.journal,
    };
    if (result.ok) return { ...facts, status: "completed", output: JSON.parse(result.outputJson) };
    const error = this.#withRefusal(result.error, result.refusedCall);
    const approvalId = this.#approvalId;
    return approvalId === undefined
      ? { ...facts, status: "failed", error }
      : { ...facts, status: "held", approvalId, error };
  }

  /** A refusal that ended the run keeps the code and the policies that we gave it. */
  #withRefusal(error: RunError, call: number | undefined): RunError {
    const refusal = call === undefined ? undefined : this.#broker.findRefusal(call);
    if (refusal === undefined) return error;
    const details = { ...refusal.details, innerCode: refusal.code, policies: refusal.policies };
    return {
      ...error,
      code: refusal.code === "forbidden" ? "forbidden" : error.code,
      message: refusal.message,
      details,
    };
  }
}

const CANCELLED: RunError = { code: "timeout", message: "the run was cancelled by its caller" };

function toJob({ skill, input }: SkillRunRequest, limits: SandboxLimits): SandboxJob | RunError {
  if (Buffer.byteLength(skill.code) > CODE_BYTES_MAX) {
    return limitExceeded("codeBytes", `the code is longer than ${CODE_BYTES_MAX} bytes`);
  }
  const inputJson = JSON.stringify(input ?? {});
  if (Buffer.byteLength(inputJson) > limits.inputBytes) {
    return limitExceeded("inputBytes", `the input is larger than ${limits.inputBytes} bytes`);
  }
  return {
    skillName: skill.name,
    code: skill.code,
    inputJson,
    inputSchema: skill.inputSchema === undefined ? undefined : JSON.stringify(skill.inputSchema),
    outputSchema: skill.outputSchema === undefined ? undefined : JSON.stringify(skill.outputSchema),
    limits,
  };
}
