import type { Clock } from "../lib/clock.ts";
import type { Repositories } from "../store/ports.ts";

/** So long after its end an approval can still be listed; what was asked and decided stays in the audit log. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;
/** A turn holds the writer for some milliseconds. */
const ROWS_PER_TURN = 500;
const TURNS_PER_ROUND = 20;
const ROUND_MS = 60 * 60_000;
/** Not while the program still starts. */
const FIRST_ROUND_MS = 60_000;

interface PruningOptions {
  readonly store: { transaction(work: (repositories: Repositories) => Promise<number>): Promise<number> };
  readonly clock: Clock;
}

/** Forgets approvals that ended long ago, once an hour and a bounded number each time. Gives its end. */
export function startApprovalPruning(
  options: PruningOptions & { readonly onProblem: (error: unknown) => void },
): () => void {
  const round = (): void => void pruneApprovals(options).catch(options.onProblem);
  const first = setTimeout(round, FIRST_ROUND_MS).unref();
  const timer = setInterval(round, ROUND_MS).unref();
  return () => {
    clearTimeout(first);
    clearInterval(timer);
  };
}

/** One round; gives how many were forgotten. */
export async function pruneApprovals({ store, clock }: PruningOptions): Promise<number> {
  const endedBefore = clock.now() - KEPT_MS;
  let forgotten = 0;
  for (let turn = 0; turn < TURNS_PER_ROUND; turn += 1) {
    const count = await store.transaction(({ approvals }) => approvals.prune(endedBefore, ROWS_PER_TURN));
    forgotten += count;
    if (count < ROWS_PER_TURN) break;
  }
  return forgotten;
}
