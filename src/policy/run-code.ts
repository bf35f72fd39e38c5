import type { Code, Environment } from "./environment.ts";
import { failure, type Result } from "./value.ts";

const TOO_DEEP = failure("the arguments nest too deeply to be compared");

/** Values nest as deep as a client likes: comparing two of them may exhaust the stack, which fails the policy only. */
export function runCode(code: Code, environment: Environment): Result {
  try {
    return code(environment);
  } catch (error) {
    if (error instanceof RangeError) return TOO_DEEP;
    throw error;
  }
}
