import type { Policy } from "../domain/policy.ts";
import { type CompiledPolicy, compilePolicy } from "./compiled-policy.ts";

/** The evaluator's form of a stored policy. Throws `invalid_input` for one that this program cannot evaluate. */
export function toCompiledPolicy({ id, name, effect, mode, audit, expiresAt, ast }: Policy): CompiledPolicy {
  return compilePolicy({ id, name, effect, mode, ast, audit: audit ?? undefined, expiresAtMs: expiresAt ?? undefined });
}
