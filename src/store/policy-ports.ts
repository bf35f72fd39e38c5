import type { Ref } from "../domain/names.ts";
import type { Policy, PolicyEffect, PolicyMode } from "../domain/policy.ts";
import type { Page, PageRequest } from "../lib/paging.ts";

/* What the rest of the program asks of a database about policies; the rules of `ports.ts` apply. */

export interface PolicyFilter {
  readonly effect?: PolicyEffect | undefined;
  readonly mode?: PolicyMode | undefined;
  /** Only policies that name this, see `mentionKey`. */
  readonly mention?: string | undefined;
  readonly ids?: readonly string[] | undefined;
  readonly query?: string | undefined;
}

/** How often a policy matched, and how often what it forbids was tried, from recorded events. */
export interface PolicyCounts {
  readonly matches: number;
  readonly violations: number;
  /** Since so many whole hours and the running one. */
  readonly violationsLast24h: number;
  readonly violationsLast7d: number;
  readonly lastMatchedAt: number | null;
  /** Those with most violations first, at most ten. */
  readonly byResource: readonly { readonly id: string; readonly name: string; readonly violations: number }[];
}

export interface PolicyRepository {
  get(ref: Ref): Promise<Policy>;
  find(ref: Ref): Promise<Policy | undefined>;
  list(filter: PolicyFilter, page: PageRequest): Promise<Page<Policy>>;
  countByMode(): Promise<Readonly<Record<PolicyMode, number>>>;
  /** Policies that name at least one of these keys, see `mentionKey`. */
  mentioning(keys: readonly string[]): Promise<readonly Policy[]>;
  insert(policy: Policy): Promise<void>;
  save(policy: Policy): Promise<void>;
  /** Also removes its counts. */
  delete(id: string): Promise<void>;
  /** Policies without a recorded match have none. */
  counts(ids: readonly string[], now: number): Promise<ReadonlyMap<string, PolicyCounts>>;
  /** The policies that each of these agents violated since then, by agent; agents without violations are left out. */
  violationsOf(agentIds: readonly string[], since: number): Promise<ReadonlyMap<string, readonly PolicyViolations[]>>;
}

export interface PolicyViolations {
  readonly policyId: string;
  /** All that are on record, not only the recent ones. */
  readonly violations: number;
  readonly lastAt: number;
}
