import type { AuditEventDraft, DecisionDraft, Settlement } from "./audit-event.ts";

/** The one event of a decision and its outcome. Also made when a journal is replayed, so it depends on nothing else. */
export function settledEvent(decision: DecisionDraft, settlement: Settlement | UnknownSettlement): AuditEventDraft {
  return {
    ...decision,
    outcome: settlement.outcome,
    reason: settlement.reason ?? decision.reason,
    durationMs: settlement.durationMs,
    details: settlement.details === undefined ? decision.details : { ...decision.details, ...settlement.details },
  };
}

/** Ends a decision of a process that died: whether its message reached the upstream, and what came back, nobody knows. */
type UnknownSettlement = Omit<Settlement, "durationMs"> & { readonly durationMs?: undefined };

export const UNKNOWN_AFTER_CRASH: UnknownSettlement = { outcome: "error", reason: "unknown_after_crash" };
