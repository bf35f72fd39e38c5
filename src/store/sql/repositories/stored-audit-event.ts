import { z } from "zod";
import { ACTOR_TYPES, type AuditEvent, type AuditEventDraft, OUTCOMES } from "../../../domain/audit-event.ts";
import type { HeldDecision } from "../../ports.ts";
import type { AuditEventTable } from "../schema.ts";
import { storedForeignText } from "./foreign-text.ts";
import { jsonText } from "./json-text.ts";

const party = z.object({ id: z.string(), name: z.string() });
const actorContext = z.object({
  onBehalfOf: party.optional(),
  ip: z.string().optional(),
  client: z.string().optional(),
});

const draft = z.object({
  id: z.string(),
  time: z.number(),
  actor: actorContext.extend({ type: z.enum(ACTOR_TYPES), id: z.string(), name: z.string() }),
  action: z.string(),
  resource: party.extend({ type: z.string() }),
  outcome: z.enum(OUTCOMES),
  reason: z.string().optional(),
  policies: z.array(party).optional(),
  correlationId: z.string(),
  sessionId: z.string().optional(),
  durationMs: z.number().optional(),
  details: z.record(z.string(), z.unknown()),
});

const storedEvent = z.object({
  seq: z.number(),
  id: z.string(),
  time: z.number(),
  actorType: z.enum(ACTOR_TYPES),
  actorId: storedForeignText,
  actorName: storedForeignText,
  actorContext: jsonText(actorContext).nullable(),
  action: z.string(),
  resourceType: z.string(),
  resourceId: storedForeignText,
  resourceName: storedForeignText,
  outcome: z.enum(OUTCOMES),
  reason: storedForeignText.nullable(),
  policies: jsonText(z.array(party)).nullable(),
  correlationId: z.string(),
  sessionId: z.string().nullable(),
  durationMs: z.number().nullable(),
  details: jsonText(z.record(z.string(), z.unknown())),
  leafHash: z.string(),
});

const storedDraft = jsonText(draft);
const storedDecision = jsonText(draft.extend({ outcome: z.enum(OUTCOMES).optional() }));

/** Throws for text that `stage` cannot have written. */
export function parseDraft(text: string): AuditEventDraft {
  return storedDraft.parse(text);
}

/** Throws for text that `hold` cannot have written. */
export function parseDecision(text: string): HeldDecision {
  return storedDecision.parse(text);
}

/** The event exactly as it was recorded: members that were absent stay absent, so that its leaf hash still fits. */
export function toAuditEvent(row: AuditEventTable): AuditEvent {
  const stored = storedEvent.parse(row);
  return {
    seq: stored.seq,
    id: stored.id,
    time: stored.time,
    actor: { type: stored.actorType, id: stored.actorId, name: stored.actorName, ...stored.actorContext },
    action: stored.action,
    resource: { type: stored.resourceType, id: stored.resourceId, name: stored.resourceName },
    outcome: stored.outcome,
    ...(stored.reason === null ? {} : { reason: stored.reason }),
    ...(stored.policies === null ? {} : { policies: stored.policies }),
    correlationId: stored.correlationId,
    ...(stored.sessionId === null ? {} : { sessionId: stored.sessionId }),
    ...(stored.durationMs === null ? {} : { durationMs: stored.durationMs }),
    details: stored.details,
    leafHash: stored.leafHash,
  };
}
