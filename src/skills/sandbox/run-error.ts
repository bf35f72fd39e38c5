import type { ErrorCode } from "../../lib/errors.ts";

/** Why a run failed, ready for a tool error: a code of the closed set, our own words, the skill's own stack lines. */
export interface RunError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /** Lines of the skill only, `at name (skill.js:line:column)`. Written by the skill: untrusted text. */
  readonly stack?: readonly string[] | undefined;
}

/** A limit that a run passed. `limit` names the field of `SandboxLimits`. */
export function limitExceeded(limit: string, message: string): RunError {
  return { code: "limit_exceeded", message, details: { limit } };
}
