import { z } from "zod";
import type { ErrorCode } from "../../lib/errors.ts";

/** Exit codes of every command (contract section 8); `found` is also a skill that failed. */
export const EXIT = { done: 0, found: 1, usage: 2, refused: 3, unreachable: 4 } as const;

/** The exit code for an answer that was an error. */
export function toExitCode(code: ErrorCode | "unreachable"): number {
  switch (code) {
    case "invalid_input":
    case "payload_too_large":
      return EXIT.usage;
    case "unreachable":
    case "unavailable":
    case "timeout":
      return EXIT.unreachable;
    default:
      return EXIT.refused;
  }
}

const SkillRun = z.object({ run: z.object({ status: z.string(), durationMs: z.number() }) });
const RUN_EXIT = new Map<string, number>([
  ["failed", EXIT.found],
  ["held", EXIT.refused],
]);

/** The exit code for an answer that was none: 0, but for the run of a skill that failed (1) or waits for an approval (3). */
export function toOutputExitCode(output: unknown): number {
  const answer = SkillRun.safeParse(output);
  return (answer.success ? RUN_EXIT.get(answer.data.run.status) : undefined) ?? EXIT.done;
}
