import { z } from "zod";
import type { Agent } from "../../domain/agent.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { ComplianceFilter } from "../../store/ports.ts";
import type { HandleContext } from "../context.ts";

export const COMPLIANCE_STATES = ["compliant", "violating", "unused"] as const;

/** What was forbidden longer ago than this has been noticed or never will be. */
const VIOLATED_WITHIN_MS = 7 * 86_400_000;
/** Who was not seen for so long does not use its rights. */
const SEEN_WITHIN_MS = 30 * 86_400_000;

export const ComplianceOutput = z.object({
  state: z
    .enum(COMPLIANCE_STATES)
    .describe("`violating`: tried what a policy forbids within 7 days; `unused`: not seen for 30 days"),
  violations: z.array(
    z.object({ policy: z.object({ id: z.string(), name: z.string() }), count: z.int(), lastAt: z.string() }),
  ),
});

export type ComplianceOutput = z.output<typeof ComplianceOutput>;

/** How these agents keep to the policies, from recorded events. */
export async function complianceOf(
  agents: readonly Agent[],
  { repositories, services, now }: Pick<HandleContext, "repositories" | "services" | "now">,
): Promise<(agent: Agent) => ComplianceOutput> {
  const ids = agents.map(({ id }) => id);
  const { violatedSince, seenSince } = complianceSince(now);
  const violations = await repositories.policies.violationsOf(ids, violatedSince);
  const { policies } = services.snapshot().policies;
  return ({ id, lastSeenAt }) => {
    const own = violations.get(id) ?? [];
    const isUnused = lastSeenAt === null || lastSeenAt < seenSince;
    return {
      state: own.length > 0 ? "violating" : isUnused ? "unused" : "compliant",
      violations: own.map(({ policyId, violations: count, lastAt }) => ({
        policy: { id: policyId, name: policies.get(policyId)?.name ?? policyId },
        count,
        lastAt: toRfc3339(lastAt),
      })),
    };
  };
}

export function complianceSince(now: number): Omit<ComplianceFilter, "state"> {
  return { violatedSince: now - VIOLATED_WITHIN_MS, seenSince: now - SEEN_WITHIN_MS };
}
