import type { Approval, ApprovalStatus } from "../domain/approval.ts";
import type { Page, PageRequest } from "../lib/paging.ts";

/* What the rest of the program asks of a database about approvals; the rules of `ports.ts` apply. */

export interface ApprovalFilter {
  /** As of `now`. */
  readonly status?: ApprovalStatus | undefined;
  readonly agentId?: string | undefined;
  readonly serverId?: string | undefined;
  /** Only those of the agents that this member answers for now. */
  readonly agentOwner?: string | undefined;
  readonly now: number;
}

export interface ApprovalRepository {
  get(id: string): Promise<Approval>;
  find(id: string): Promise<Approval | undefined>;
  list(filter: ApprovalFilter, page: PageRequest): Promise<Page<Approval>>;
  /** The newest of this binding that is neither used nor expired. */
  findOpen(bindingHash: string, now: number): Promise<Approval | undefined>;
  /** Those that wait for a person, of one agent or of all. */
  countPending(now: number, agentId?: string): Promise<number>;
  insert(approval: Approval): Promise<void>;
  save(approval: Approval): Promise<void>;
  /** Deletes at most so many that expired at that time or before, the oldest first; gives how many. */
  prune(expiredBefore: number, limit: number): Promise<number>;
}
