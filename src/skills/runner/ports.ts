import type { CallRefusal } from "../sandbox/protocol.ts";

/** On whose behalf a skill runs; handed to the port unread. */
export interface CallerContext {
  readonly agentId: string;
  readonly memberId?: string | undefined;
  /** Of the skill's run; inner calls are recorded under it. */
  readonly correlationId: string;
  readonly ip?: string | undefined;
  readonly client?: string | undefined;
}

export interface ToolCall {
  readonly server: string;
  readonly tool: string;
  /** JSON text of the arguments, exactly as they will be decided and sent. */
  readonly argumentsJson: string;
  readonly caller: CallerContext;
}

/** MCP `notifications/progress` of an inner call. */
export interface ToolProgress {
  readonly progress: number;
  readonly total?: number | undefined;
  readonly message?: string | undefined;
}

export interface ToolCallOptions {
  readonly signal: AbortSignal;
  /** Call it when the call is held for an approval; the run's clock stands still until the answer. */
  readonly onHeld: (approvalId: string) => void;
  readonly onProgress: (progress: ToolProgress) => void;
}

/**
 * What came of an inner call. `held`: nobody waits any longer, the run ends and can be continued after the approval.
 * `wasSent` of a refusal says that the server got the call, so that a rerun must not repeat it.
 */
export type ToolCallOutcome =
  | { readonly status: "success"; readonly json: string }
  | { readonly status: "refused"; readonly error: CallRefusal; readonly wasSent: boolean }
  | { readonly status: "held"; readonly approvalId: string };

/** The way from a skill to a tool: assignment, policies, approvals and audit as for any call of the agent. */
export interface ToolCaller {
  callTool(call: ToolCall, options: ToolCallOptions): Promise<ToolCallOutcome>;
  /** Why the caller may not be given again what this call was answered before; undefined where it may. */
  recheck(call: ToolCall): Promise<CallRefusal | undefined>;
}

/** What a run tells while it runs. Texts come from the skill and the servers: untrusted. */
export type RunProgress =
  | { readonly type: "log"; readonly text: string }
  | { readonly type: "call"; readonly server: string; readonly tool: string; readonly state: "started" | "ended" }
  | { readonly type: "held"; readonly server: string; readonly tool: string; readonly approvalId: string }
  | { readonly type: "progress"; readonly server: string; readonly tool: string; readonly message: string | undefined };
