import { join } from "node:path";
import type { Registry } from "prom-client";
import type { AuditLog } from "../audit/audit-log.ts";
import { AuthFailureAggregator } from "../audit/auth-failures.ts";
import { openAuditLog } from "../audit/durable-audit-log.ts";
import { createFileJournal } from "../audit/file-journal.ts";
import { RepeatedDenials } from "../audit/repeated-denials.ts";
import { createTableJournal } from "../audit/table-journal.ts";
import { createSequencer } from "../audit/sequencer.ts";
import { createBatchedHistogram } from "../lib/batched-histogram.ts";
import type { Clock } from "../lib/clock.ts";
import type { Store } from "../store/ports.ts";

export interface AuditParts {
  readonly log: AuditLog;
  readonly failures: AuthFailureAggregator;
  readonly denials: RepeatedDenials;
}

export interface AuditPartsOptions {
  readonly store: Store;
  readonly dataDir: string;
  readonly clock: Clock;
  readonly registry: Registry;
  readonly onProblem: (error: unknown) => void;
  readonly stack: AsyncDisposableStack;
}

/** Wires the audit log: journal, sequencer, the gateway's side, and the counting of failed authentications and denied calls. */
export async function openAudit(options: AuditPartsOptions): Promise<AuditParts> {
  const { store, dataDir, clock, registry, onProblem, stack } = options;
  const directory = join(dataDir, "audit-journal");
  const isLocal = store.dialect === "sqlite";
  const journal = isLocal ? createFileJournal({ directory, store, onProblem }) : createTableJournal(store);
  const sequencer = createSequencer({ store, journal, onProblem });
  const observeCommit = createBatchedHistogram({
    name: "runlayer_audit_commit_seconds",
    help: "Time of one group commit of audit decisions",
    buckets: [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5],
    registers: [registry],
  });
  const onCommit = ({ durationMs }: { durationMs: number }): void => observeCommit(durationMs / 1000);
  stack.defer(() => journal.close());
  stack.defer(() => sequencer.close());
  const log = await openAuditLog({ journal, sequencer, clock, onCommit, onProblem });
  stack.defer(() => log.close());
  // An operation stages its event in its own transaction: the commit says that there is something to move.
  store.onCommitted((changes) => {
    if (changes.length > 0) sequencer.nudge();
    return Promise.resolve();
  });
  const failures = new AuthFailureAggregator({ clock, emit: (event) => log.post(event) });
  stack.defer(() => failures.close());
  const denials = new RepeatedDenials({ emit: (event) => log.post(event) });
  stack.defer(() => denials.close());
  return { log, failures, denials };
}
