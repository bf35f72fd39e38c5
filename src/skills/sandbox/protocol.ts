import type { RunError } from "./run-error.ts";
import type { SandboxLimits } from "./limits.ts";

/** One run as the worker gets it. Values cross as JSON text, so that no object of the host is ever seen by a skill. */
export interface SandboxJob {
  readonly skillName: string;
  readonly code: string;
  readonly inputJson: string;
  /** JSON text of the schemas; also the key under which their compiled validators are kept. */
  readonly inputSchema?: string | undefined;
  readonly outputSchema?: string | undefined;
  readonly limits: SandboxLimits;
}

/** What `callTool` gives back: the value as JSON text, or a refusal that is thrown inside the skill. */
export type CallReply =
  | { readonly ok: true; readonly json: string }
  | { readonly ok: false; readonly error: CallRefusal };

export interface CallRefusal {
  readonly code: string;
  readonly message: string;
  readonly policies?: readonly { readonly id: string; readonly name: string }[] | undefined;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
}

export type ToWorker =
  | { readonly type: "run"; readonly run: number; readonly job: SandboxJob }
  | { readonly type: "reply"; readonly run: number; readonly call: number; readonly reply: CallReply }
  | { readonly type: "cancel"; readonly run: number };

export type FromWorker =
  | { readonly type: "call"; readonly run: number; readonly call: number; readonly request: GuestCall }
  | { readonly type: "log"; readonly run: number; readonly text: string }
  | { readonly type: "done"; readonly run: number; readonly result: GuestResult };

/** A `callTool` of the skill. All three are the skill's own words. */
export interface GuestCall {
  readonly server: string;
  readonly tool: string;
  readonly argumentsJson: string;
}

export type GuestResult =
  | { readonly ok: true; readonly outputJson: string; readonly cpuMs: number }
  | {
      readonly ok: false;
      readonly error: RunError;
      readonly cpuMs: number;
      /** The refused call whose error the skill let through; its details are the host's, not the skill's. */
      readonly refusedCall?: number | undefined;
    };

export interface WorkerSetup {
  readonly wasm: WebAssembly.Module;
  readonly state: Int32Array<SharedArrayBuffer>;
}

/**
 * Cells of the shared state: which run is inside the engine, which entry that is, which run must stop, and the thread's
 * processor time at that entry, in whole milliseconds that may wrap around.
 */
export const STATE = { currentRun: 0, entry: 1, stopRun: 2, entryCpuMs: 3, cells: 4 } as const;
