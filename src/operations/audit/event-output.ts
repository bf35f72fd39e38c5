import { z } from "zod";
import { ACTOR_TYPES, OUTCOMES, type AuditEvent } from "../../domain/audit-event.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { AuditGroup } from "../../store/ports.ts";
import { ownerSeen } from "../agents/own-agents.ts";
import type { HandleContext } from "../context.ts";

const Named = z.object({ id: z.string(), name: z.string() });

export const AuditEventOutput = z.object({
  seq: z.int(),
  id: z.string(),
  time: z.string(),
  actor: z.object({
    type: z.enum(ACTOR_TYPES),
    id: z.string(),
    name: z.string(),
    onBehalfOf: Named.optional(),
    ip: z.string().optional(),
    client: z.string().optional(),
  }),
  action: z.string(),
  resource: z.object({ type: z.string(), id: z.string(), name: z.string() }),
  outcome: z.enum(OUTCOMES),
  reason: z.string().optional(),
  policies: z.array(Named).optional(),
  correlationId: z.string(),
  sessionId: z.string().optional(),
  durationMs: z.number().optional(),
  details: z.record(z.string(), z.unknown()),
  leafHash: z.string(),
});

export function showAuditEvent(event: AuditEvent): z.input<typeof AuditEventOutput> {
  const { time, policies, details, ...rest } = event;
  return {
    ...rest,
    time: toRfc3339(time),
    details: { ...details },
    ...(policies === undefined ? {} : { policies: policies.map(({ id, name }) => ({ id, name })) }),
  };
}

export const AuditGroupOutput = z.object({
  key: z.string(),
  type: z.string().optional().describe("Kind of the actor or resource: two of one key differ by it"),
  name: z.string(),
  events: z.int(),
  allowed: z.int(),
  denied: z.int(),
  errors: z.int(),
  firstAt: z.string(),
  lastAt: z.string(),
  activeKeys: z.array(z.object({ id: z.string(), hint: z.string() })).optional(),
});

/** One row of an access review; for an actor with the keys that still open the door. */
export async function showAuditGroup(
  group: AuditGroup,
  { groupBy, caller, repositories: { apiKeys }, now }: HandleContext & { readonly groupBy: string },
): Promise<z.output<typeof AuditGroupOutput>> {
  const { key, type, name, events, allowed, denied, errors, firstAt, lastAt } = group;
  const kind = groupBy === "action" ? {} : { type };
  const shown = {
    key,
    ...kind,
    name,
    events,
    allowed,
    denied,
    errors,
    firstAt: toRfc3339(firstAt),
    lastAt: toRfc3339(lastAt),
  };
  if (groupBy !== "actor") return shown;
  // Whoever sees only their own agents does not learn of keys that are nobody's agent.
  const own = ownerSeen(caller) === undefined ? await apiKeys.find(key) : undefined;
  const ofAgent = await apiKeys.activeOfAgent(key, now);
  const isOwnActive = own !== undefined && own.revoked === null && (own.expiresAt === null || own.expiresAt > now);
  const active = isOwnActive ? [own, ...ofAgent] : ofAgent;
  return { ...shown, activeKeys: active.map(({ id, hint }) => ({ id, hint })) };
}
