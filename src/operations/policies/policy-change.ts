import type { Policy } from "../../domain/policy.ts";
import { AppError } from "../../lib/errors.ts";
import type { CompiledPolicy } from "../../policy/compiled-policy.ts";
import { withPolicy, withoutPolicy } from "../../policy/policy-index.ts";
import { toCompiledPolicy } from "../../policy/stored-policy.ts";
import type { Snapshot } from "../../snapshot/snapshot.ts";
import type { HandleContext, PrepareContext } from "../context.ts";
import { currentRules } from "./access-check.ts";
import { type Impact, impactOf, type PolicyChange } from "./policy-impact.ts";
import { replayCalls } from "./replay-impact.ts";

/** One policy before and after a change; undefined where there is none. */
export interface PolicyStep {
  readonly before: Policy | undefined;
  readonly after: Policy | undefined;
}

/**
 * A handler that changes one policy, and the replay of recorded calls behind it: the replay takes up to seconds, and the
 * change does not wait for it.
 */
export function stagePolicyChange<Output extends { readonly impact: Impact }>(
  { readAtLeisure, services }: PrepareContext,
  handle: (context: HandleContext, impact: (step: PolicyStep) => Impact) => Promise<Output>,
) {
  let change: PolicyChange | undefined;
  return {
    handle: (context: HandleContext) =>
      handle(context, (step) => {
        change = toChange(step, { snapshot: services.snapshot(), now: context.now });
        return impactOf(change);
      }),
    async complete(output: Output): Promise<Output> {
      if (change === undefined) return output;
      try {
        // The calls that were answered before this one are part of the record.
        await services.flushAudit();
        return { ...output, impact: { ...output.impact, ...(await replayCalls({ ...change, read: readAtLeisure })) } };
      } catch (error) {
        if (!(error instanceof AppError)) throw error;
        return { ...output, impact: { ...output.impact, isIncomplete: true } };
      }
    },
  };
}

export function toChange(
  { before, after }: PolicyStep,
  { snapshot, now }: { readonly snapshot: Snapshot; readonly now: number },
): PolicyChange {
  const rules = currentRules(snapshot);
  const former = before === undefined ? undefined : toCompiledPolicy(before);
  const next = after === undefined ? undefined : toCompiledPolicy(after);
  const base = former === undefined ? rules.index : withPolicy(rules.index, former);
  const index = next === undefined ? withoutPolicy(base, before?.id ?? "") : withPolicy(base, next);
  return {
    snapshot,
    now,
    before: { ...rules, index: base },
    after: { ...rules, index },
    concerned: [former, next].filter((policy): policy is CompiledPolicy => policy !== undefined),
  };
}
