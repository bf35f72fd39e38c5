import type { Policy } from "../../domain/policy.ts";

/** Enough of a text to know the rule again; the whole is in the policy. */
const CEDAR_CHARACTERS_MAX = 4096;

/** What an event keeps of a policy as it is after the change. */
export function toEventDetails(
  policy: Pick<Policy, "effect" | "mode" | "cedar" | "version">,
): Readonly<Record<string, unknown>> {
  const { effect, mode, cedar, version } = policy;
  return { effect, mode, version, cedar: cedar.slice(0, CEDAR_CHARACTERS_MAX).toWellFormed() };
}
