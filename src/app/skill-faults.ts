import { AppError, type ErrorCode } from "../lib/errors.ts";
import type { SkillChange } from "./skill-change.ts";

/** What a push or a pull did or would do with each skill, and why it was refused, if it was. */
export interface Synced {
  readonly changes: readonly SkillChange[];
  readonly refusal: AppError | undefined;
}

/** A skill by where it lies, with what happens to it or what is wrong with it. */
export interface Checked {
  readonly path: string;
  readonly result: SkillChange | AppError;
}

/** The fault of one skill. Throws what would stop every skill: no answer, no valid key. */
export async function orFault<Result>(work: () => Promise<Result>): Promise<Result | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && !CONCERNS_ALL.has(error.code)) return error;
    throw error;
  }
}

const CONCERNS_ALL: ReadonlySet<ErrorCode> = new Set([
  "unauthenticated",
  "rate_limited",
  "internal",
  "unavailable",
  "timeout",
]);

/** A fault as the change that it stands for. */
export function toChange({ path, result }: Checked): SkillChange {
  return result instanceof AppError ? { name: path, change: "refused", message: result.message } : result;
}

/** One refusal for all faults, or undefined for none; `consequence` says what it means for the rest. */
export function toRefusal(checked: readonly Checked[], consequence: string): AppError | undefined {
  const faults = checked.flatMap(({ path, result }) => (result instanceof AppError ? [{ path, error: result }] : []));
  const codes = faults.map(({ error }) => error.code);
  // A refusal of the server counts more than a fault of a file, which the caller can see.
  const code = codes.find((one) => one !== "invalid_input" && one !== "payload_too_large") ?? codes[0];
  if (code === undefined) return undefined;
  const lines = faults.map(({ path, error }) => `\n${path}: ${error.message}`);
  return new AppError(code, `${faults.length} of ${checked.length} skills refused; ${consequence}${lines.join("")}`);
}
