import type { SkillVersion } from "../../domain/skill.ts";
import type { DecidingPolicy } from "../decide.ts";

/** On whose behalf a skill runs. Inner calls are recorded under `correlationId`. */
export interface RunCaller {
  readonly agentId: string;
  readonly memberId?: string | undefined;
  readonly correlationId: string;
  readonly ip?: string | undefined;
  readonly client?: string | undefined;
}

export interface SkillFailure {
  readonly code: string;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Lines of the skill's own code: its words. */
  readonly stack?: readonly string[] | undefined;
}

/** The calls that a run made, by what was asked. */
export type Journal = readonly {
  readonly key: string;
  readonly reply: { readonly ok: true; readonly json: string } | { readonly ok: false; readonly error: InnerRefusal };
}[];

interface RunFacts {
  readonly usage: { readonly durationMs: number; readonly cpuMs: number; readonly calls: number };
  readonly logs: readonly string[];
  /** A later run with the same input repeats no call that is in it. Holds results: confidential. */
  readonly journal: Journal;
}

export type SkillResult = RunFacts &
  (
    | { readonly status: "completed"; readonly output: unknown }
    | { readonly status: "failed"; readonly error: SkillFailure }
    | {
        readonly status: "held";
        /** Absent where nobody was asked for one: a dry run. */
        readonly approvalId: string | undefined;
        readonly error: SkillFailure;
      }
  );

export interface SkillRun {
  readonly name: string;
  readonly version: SkillVersion;
  readonly input: unknown;
  readonly caller: RunCaller;
  readonly signal: AbortSignal;
  readonly onProgress: (message: string) => void;
  readonly journal: Journal;
}

/** Runs skills in their sandbox and knows their files; injected, because skills and gateway do not know each other. */
export interface SkillRunner {
  run(run: SkillRun): Promise<SkillResult>;
  /** All files of a version by path, SKILL.md included. */
  files(name: string, version: SkillVersion): Promise<Readonly<Record<string, Uint8Array>>>;
}

export interface AggregateOptions {
  readonly skills: SkillRunner;
  /** The program's version, as clients are told. */
  readonly version: string;
}

export interface InnerCall {
  readonly server: string;
  readonly tool: string;
  readonly argumentsJson: string;
  readonly caller: { readonly correlationId: string };
}

export interface InnerCallOptions {
  readonly signal: AbortSignal;
  /** The call waits for an approval; until its answer the run's clock stands still. */
  readonly onHeld: (approvalId: string) => void;
  readonly onProgress: (progress: {
    readonly progress: number;
    readonly total?: number | undefined;
    readonly message?: string | undefined;
  }) => void;
}

export interface InnerRefusal {
  readonly code: string;
  readonly message: string;
  readonly policies?: readonly DecidingPolicy[] | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

/** `wasSent`: the server got the call, so that a rerun must not repeat it. */
export type InnerCallOutcome =
  | { readonly status: "success"; readonly json: string }
  | { readonly status: "refused"; readonly error: InnerRefusal; readonly wasSent: boolean }
  | { readonly status: "held"; readonly approvalId: string };
