import type { AuditEvent } from "../../../domain/audit-event.ts";
import type { AuditEventTable } from "../schema.ts";
import { toStoredText } from "./stored-text.ts";

/*
 * What an event becomes in the database. The thread that writes makes each row: nothing is imported here that it would have to load
 * for nothing, such as the schemas that read rows and the query builder.
 */

/** In the order in which `auditValues` gives them. */
export const AUDIT_COLUMNS = [
  "seq",
  "id",
  "time",
  "actorType",
  "actorId",
  "actorName",
  "actorContext",
  "action",
  "resourceType",
  "resourceId",
  "resourceName",
  "outcome",
  "reason",
  "policies",
  "correlationId",
  "sessionId",
  "durationMs",
  "details",
  "leafHash",
  "serverId",
  "agentId",
] as const satisfies readonly (keyof AuditEventTable)[];

/** The row of an event. */
export function toAuditRow(event: AuditEvent): AuditEventTable {
  const { actor, resource, policies } = event;
  return {
    seq: event.seq,
    id: event.id,
    time: event.time,
    actorType: actor.type,
    actorId: toStoredText(actor.id),
    actorName: toStoredText(actor.name),
    actorContext: contextOf(event),
    action: event.action,
    resourceType: resource.type,
    resourceId: toStoredText(resource.id),
    resourceName: toStoredText(resource.name),
    outcome: event.outcome,
    reason: event.reason === undefined ? null : toStoredText(event.reason),
    policies: policies === undefined ? null : JSON.stringify(policies.map(({ id, name }) => ({ id, name }))),
    correlationId: event.correlationId,
    sessionId: event.sessionId ?? null,
    durationMs: event.durationMs ?? null,
    details: JSON.stringify(event.details),
    leafHash: event.leafHash,
    serverId: idIn(event, "server"),
    agentId: idIn(event, "agent"),
  };
}

function contextOf({ actor: { onBehalfOf, ip, client } }: AuditEvent): string | null {
  if (onBehalfOf === undefined && ip === undefined && client === undefined) return null;
  return JSON.stringify({ onBehalfOf, ip, client });
}

/** The server or agent of an event: what it was about, else the one that its details name, else who did it. */
function idIn({ actor, resource, details }: AuditEvent, kind: "server" | "agent"): string | null {
  if (resource.type === kind) return toStoredText(resource.id);
  const named = details[kind];
  if (typeof named === "object" && named !== null && "id" in named && typeof named.id === "string") {
    return toStoredText(named.id);
  }
  return actor.type === kind ? toStoredText(actor.id) : null;
}

/** What a row holds, in the order of the columns. */
export function auditValues(row: AuditEventTable): (string | number | null)[] {
  return AUDIT_COLUMNS.map((column) => row[column]);
}
