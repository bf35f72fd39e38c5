import type { ErrorCode } from "../../lib/errors.ts";

/** Exit codes of every command (contract section 8). */
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
