/** A refusal or a tool's error, as a skill catches it from `callTool`. */
export interface ToolCallError extends Error {
  /** Of the closed set: `forbidden`, `not_found`, `upstream_error`, … */
  readonly code: string;
  /** The policies that said no, if any. */
  readonly policies?: readonly { readonly id: string; readonly name: string }[];
}

/** What a skill's function is given beside its input. There is nothing else: no network, files, timers or imports. */
interface SkillContext {
  /**
   * Calls a tool that the skill declares, as the calling agent. Gives the structured content if there is one, else the
   * tool result. Throws a `ToolCallError`.
   */
  readonly callTool: (server: string, tool: string, args?: Readonly<Record<string, unknown>>) => Promise<unknown>;
  /** Adds a line to the run's log. Objects are written as JSON. */
  readonly log: (...values: readonly unknown[]) => void;
}

/** The default export of `skill.js`. Its output must be JSON. */
export type Skill<Input = unknown, Output = unknown> = (
  input: Input,
  context: SkillContext,
) => Output | Promise<Output>;
