import { z } from "zod";
import { STORED_APPROVAL_STATUSES, type Approval } from "../../../domain/approval.ts";
import { ACTOR_TYPES } from "../../../domain/audit-event.ts";
import type { ApprovalTable } from "../approval-table.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";
import { jsonText, toJsonOrNull } from "./json-text.ts";

const named = z.object({ id: z.string(), name: z.string() });

const actor = z.object({ type: z.enum(ACTOR_TYPES), id: z.string(), name: z.string() });

const call = z.object({
  agent: named,
  member: named.nullable(),
  server: named.nullable(),
  action: z.string(),
  target: z.object({
    type: z.string(),
    name: z.string(),
    id: z.string().optional(),
    version: z.number().optional(),
  }),
  // Approvals of the first schema know neither skills nor requesters.
  requester: actor.extend({ onBehalfOf: named.optional() }).nullable().default(null),
  toolDigest: z.string().nullable(),
  argumentsHash: z.string(),
  payload: z.record(z.string(), z.unknown()),
  policies: z.array(named),
  correlationId: z.string(),
});

const decision = z.object({
  at: z.number(),
  by: actor,
  note: z.string().nullable(),
});

const storedApproval = z.object({
  id: z.string(),
  status: z.enum(STORED_APPROVAL_STATUSES),
  bindingHash: z.string(),
  call: storedForeignText.pipe(jsonText(call)),
  requestedAt: z.number(),
  expiresAt: z.number(),
  decision: jsonText(decision).nullable(),
  usedAt: z.number().nullable(),
  version: z.number(),
});

/** Throws for a row that no version of this program can have written. */
export function toApproval(row: ApprovalTable): Approval {
  const { call: bound, ...rest } = storedApproval.parse(row);
  return { ...rest, ...bound };
}

export function toApprovalRow(approval: Approval): ApprovalTable {
  const { id, status, bindingHash, requestedAt, expiresAt, usedAt, version } = approval;
  const bound: z.input<typeof call> = call.parse(approval);
  return {
    id,
    status,
    bindingHash,
    agentId: approval.agent.id,
    // The column takes no null; no server has this id.
    serverId: approval.server?.id ?? "",
    call: toStoredText(JSON.stringify(bound)),
    requestedAt,
    expiresAt,
    decision: toJsonOrNull(approval.decision),
    usedAt,
    version,
  };
}
