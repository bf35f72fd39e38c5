import type { Outcome } from "../../domain/audit-event.ts";
import type { Scan } from "../../domain/scan.ts";
import { AppError } from "../../lib/errors.ts";
import type { Repositories, Store } from "../../store/ports.ts";
import type { Caller } from "../context.ts";
import type { EventFacts } from "../define-operation.ts";
import type { Services } from "../services.ts";
import { runPlan } from "./run-plan.ts";
import type { ScanPlan } from "./scan-plan.ts";
import { storeScanFindings } from "./store-scan.ts";

interface BackgroundOptions {
  readonly services: Services;
  readonly store: Store;
  readonly signal: AbortSignal;
  readonly caller: Caller;
}

/**
 * Runs a scan that nobody waits for, and stores its end with an audit event of its own. Where the call that started it was rolled
 * back, nothing happens. Rejects with what made it fail, after that is stored with the scan.
 */
export async function runInBackground(scan: Scan, plan: ScanPlan, options: BackgroundOptions): Promise<void> {
  const { services, store, signal, caller } = options;
  // Transactions take turns: after this one, the one that stored the scan is committed or gone.
  const isStored = await store.transaction(({ scans }) => isKnown(scans, scan.id));
  if (!isStored) return;
  const read = <T>(work: (repositories: Repositories) => Promise<T>): Promise<T> => store.read(work);
  try {
    const found = await runPlan(plan, { services, signal, read, now: scan.startedAt, progress: () => undefined });
    await store.transaction(async (repositories) => {
      const finishedAt = services.clock.now();
      const record = (action: string, facts: EventFacts): Promise<void> => stage({ action, ...facts }, repositories);
      await stageEnd(
        await storeScanFindings(scan, found, { services, repositories, record, finishedAt }),
        repositories,
      );
    });
  } catch (error) {
    const reason = error instanceof AppError ? error.message : "it failed on our side; the server log has the details";
    const failed: Scan = { ...scan, status: "failed", finishedAt: services.clock.now(), error: reason };
    await store.transaction(async (repositories) => {
      await repositories.scans.save(failed);
      await stageEnd(failed, repositories);
    });
    throw error;
  }

  async function stageEnd(ended: Scan, repositories: Repositories): Promise<void> {
    const { summary, targets, status } = ended;
    const counts = summary === null ? {} : { new: summary.new, resolved: summary.resolved, findings: summary.findings };
    const resource = { type: "scan", id: scan.id, name: scan.id };
    const outcome = status === "failed" ? "error" : "success";
    const details = { targets, status, ...counts };
    await stage({ action: "scan.finish", resource, outcome, details }, repositories);
  }

  /** Nobody's call is open any more: the events belong to the scan. */
  async function stage({ outcome = "success", ...facts }: StagedFacts, { audit }: Repositories): Promise<void> {
    const common = { id: services.newId(), time: services.clock.now(), actor: caller.actor, correlationId: scan.id };
    await audit.stage({ ...common, outcome, action: facts.action, ...toFacts(facts) });
  }
}

type StagedFacts = EventFacts & { readonly action: string; readonly outcome?: Outcome };

function toFacts({ resource, policies, details = {} }: EventFacts) {
  return { resource, details, ...(policies === undefined ? {} : { policies }) };
}

async function isKnown(scans: Repositories["scans"], id: string): Promise<boolean> {
  try {
    await scans.get(id);
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === "not_found") return false;
    throw error;
  }
}
