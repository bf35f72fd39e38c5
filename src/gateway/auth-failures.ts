import type { AuditLog } from "../audit/audit-log.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";

/** Distinct (address, reason) pairs that are told apart between two reports; a flood from more is counted together. */
const GROUPS_MAX = 256;

interface FailureCount {
  readonly ip: string | undefined;
  readonly reason: string;
  count: number;
}

/** Counts callers that were not recognized. They are reported together, so that a flood of them cannot fill the audit log. */
export class AuthFailures {
  #counts = new Map<string, FailureCount>();

  add(ip: string | undefined, reason: string): void {
    const key = `${ip ?? ""} ${reason}`;
    const isNew = !this.#counts.has(key) && this.#counts.size >= GROUPS_MAX;
    const group = isNew ? { key: "others", ip: undefined, reason: "several" } : { key, ip, reason };
    const known = this.#counts.get(group.key);
    if (known === undefined) this.#counts.set(group.key, { ip: group.ip, reason: group.reason, count: 1 });
    else known.count += 1;
  }

  /** One event for each group since the last report. */
  report(audit: AuditLog, clock: Clock): void {
    const counts = [...this.#counts.values()];
    this.#counts = new Map();
    for (const { ip, reason, count } of counts) {
      const id = newId();
      audit.post({
        id,
        time: clock.now(),
        actor: { type: "anonymous", id: "", name: "anonymous", ip },
        action: "auth.failure",
        resource: { type: "gateway", id: "gateway", name: "gateway" },
        outcome: "denied",
        reason,
        correlationId: id,
        details: { count },
      });
    }
  }
}
