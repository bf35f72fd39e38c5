import type { AuditEventDraft } from "../domain/audit-event.ts";
import { newId } from "../lib/ids.ts";

/** Who acts where somebody with access to the machine does, not a caller with a key. */
export const HOST_ACTOR = { type: "system", id: "host", name: "host" } as const;

/** The audit event of something done on the host. `details` MUST hold no secret. */
export function toHostEvent(
  action: string,
  resource: AuditEventDraft["resource"],
  { now, details }: { readonly now: number; readonly details: Readonly<Record<string, unknown>> },
): AuditEventDraft {
  const id = newId();
  return { id, time: now, actor: HOST_ACTOR, action, resource, outcome: "success", correlationId: id, details };
}
