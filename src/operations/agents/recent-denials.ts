import { z } from "zod";
import { toRfc3339 } from "../../lib/clock.ts";
import type { Repositories } from "../../store/ports.ts";

const SHOWN = 10;

export const RecentDenials = z
  .array(
    z.object({
      seq: z.int(),
      time: z.string(),
      action: z.string(),
      resource: z.object({ type: z.string(), id: z.string(), name: z.string() }),
      reason: z.string().optional(),
    }),
  )
  .describe("The newest first");

/** What the gateway last refused this agent. */
export async function recentDenials(agentId: string, { audit }: Repositories): Promise<z.output<typeof RecentDenials>> {
  const { items } = await audit.list(
    { agentId, actorType: "agent", outcome: "denied" },
    { limit: SHOWN, order: "desc" },
  );
  return items.map(({ seq, time, action, resource, reason }) => ({
    seq,
    time: toRfc3339(time),
    action,
    resource: { type: resource.type, id: resource.id, name: resource.name },
    ...(reason === undefined ? {} : { reason }),
  }));
}
