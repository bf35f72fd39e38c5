import { approvalStatus, useApproval, type Approval } from "../domain/approval.ts";
import { bindingHashOf } from "../gateway/approval-binding.ts";
import type { ApprovalClaim, ApprovalStore, HeldCall } from "../gateway/approvals.ts";
import { maskText } from "../guard/mask-secrets.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import type { Repositories, Store } from "../store/ports.ts";

/** Calls of one agent that wait for a person; one more is refused, so that no agent buries what the others ask. */
const PENDING_PER_AGENT_MAX = 100;
/** Of a name that an agent chose; more is looked through, so that no secret is missed because it was cut. */
const NAME_CHARACTERS_MAX = 512;
const MINUTE_MS = 60_000;

export interface ApprovalStoreOptions {
  readonly store: Store;
  readonly clock: Clock;
}

/** The approvals in the database, as the gateway asks for them. */
export function createApprovalStore({ store, clock }: ApprovalStoreOptions): ApprovalStore {
  const waiting = new Map<string, Set<() => void>>();
  const isDecided = async (id: string): Promise<boolean> =>
    (await store.read(({ approvals }) => approvals.find(id)))?.status !== "pending";
  store.onCommitted(async (changes) => {
    for (const { kind, id } of changes) {
      const listeners = kind === "approval" ? waiting.get(id) : undefined;
      if (listeners !== undefined && (await isDecided(id))) for (const listener of listeners) listener();
    }
  });
  return {
    claim: (call) => store.transaction((repositories) => claim(call, repositories, clock.now())),
    async decided(id, signal) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const listeners = waiting.get(id) ?? new Set();
      waiting.set(id, listeners.add(resolve));
      signal.addEventListener("abort", () => {
        listeners.delete(resolve);
        if (listeners.size === 0 && waiting.get(id) === listeners) waiting.delete(id);
      });
      // It may have been decided before anybody listened.
      if (!(await isDecided(id))) await promise;
    },
  };
}

/** One transaction: of two equal calls at one time only one finds the approval. */
async function claim(call: HeldCall, { approvals, organization }: Repositories, now: number): Promise<ApprovalClaim> {
  const bindingHash = bindingHashOf(call);
  const open = await approvals.findOpen(bindingHash, now);
  if (open !== undefined) {
    const status = approvalStatus(open, now);
    if (status === "approved") await approvals.save(useApproval(open, now));
    if (status === "approved" || status === "pending" || status === "denied")
      return { state: status, approvalId: open.id, correlationId: open.correlationId };
  }
  if ((await approvals.countPending(now, call.agent.id)) >= PENDING_PER_AGENT_MAX) return { state: "full" };
  const { approvalTtlMinutes } = (await organization.get()).settings;
  const filed = toApproval(call, { bindingHash, now, ttlMs: approvalTtlMinutes * MINUTE_MS });
  await approvals.insert(filed);
  return { state: "pending", approvalId: filed.id, correlationId: filed.correlationId };
}

function toApproval(
  { toolDigest, target, ...call }: HeldCall,
  { bindingHash, now, ttlMs }: { bindingHash: string; now: number; ttlMs: number },
): Approval {
  return {
    ...call,
    id: newId(),
    status: "pending",
    bindingHash,
    // The binding is on the name itself; what is kept to be shown hides secrets, as the event of the hold does.
    target: { ...target, name: toShownName(target.name) },
    toolDigest: toolDigest ?? null,
    requestedAt: now,
    expiresAt: now + ttlMs,
    decision: null,
    usedAt: null,
    version: 1,
  };
}

function toShownName(name: string): string {
  return maskText(name.slice(0, 4 * NAME_CHARACTERS_MAX).toWellFormed()).slice(0, NAME_CHARACTERS_MAX);
}
