import type { RecordedToolCall } from "../../ports.ts";
import type { AuditEventTable } from "../schema.ts";

type Row = Pick<
  AuditEventTable,
  "seq" | "time" | "actorId" | "actorName" | "actorContext" | "resourceName" | "reason" | "details"
>;

/** Read by hand: a replay reads tens of thousands of rows while a person waits, and a schema for each costs more than all the rest. */
export function toRecordedCall(row: Row): RecordedToolCall {
  const context = row.actorContext === null ? undefined : toObject(JSON.parse(row.actorContext));
  return {
    seq: row.seq,
    time: row.time,
    agentId: row.actorId,
    agentName: row.actorName,
    resourceName: row.resourceName,
    reason: row.reason ?? undefined,
    ip: textOf(context?.["ip"]),
    client: textOf(context?.["client"]),
    details: toObject(JSON.parse(row.details)),
  };
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" ? value : undefined;
}
