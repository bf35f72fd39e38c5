import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { AuditLog } from "../../src/audit/audit-log.ts";
import type { DecisionJournal } from "../../src/audit/decision-journal.ts";
import { openAuditLog } from "../../src/audit/durable-audit-log.ts";
import { createFileJournal } from "../../src/audit/file-journal.ts";
import { createTableJournal } from "../../src/audit/table-journal.ts";
import { createSequencer, type Sequencer } from "../../src/audit/sequencer.ts";
import type { AuditEvent, AuditEventDraft, DecisionDraft } from "../../src/domain/audit-event.ts";
import { systemClock, type Clock } from "../../src/lib/clock.ts";
import { newId } from "../../src/lib/ids.ts";
import { openStore } from "../../src/store/open-store.ts";
import type { Store } from "../../src/store/ports.ts";

export interface AuditParts {
  readonly store: Store;
  readonly journal: DecisionJournal;
  readonly sequencer: Sequencer;
  readonly log: AuditLog;
  readonly problems: readonly unknown[];
}

export interface AuditSettings {
  /** PostgreSQL instead of SQLite in the folder. */
  readonly databaseUrl?: string | undefined;
  /** The table journal; what PostgreSQL always has. */
  readonly hasTableJournal?: boolean | undefined;
  readonly segmentBytes?: number | undefined;
  readonly depthMax?: number | undefined;
  readonly failingMsMax?: number | undefined;
  readonly clock?: Clock | undefined;
  /** Wraps the journal, to break what a disk can break. */
  readonly wrapJournal?: ((journal: DecisionJournal) => DecisionJournal) | undefined;
  /** Wraps the store, to break what a database can break. */
  readonly wrapStore?: ((store: Store) => Store) | undefined;
}

/** Of a log under load that is to go through many segments: a journal is read with the size that it was written with. */
export const LOAD_SEGMENT_BYTES = 256 * 1024;

export function newFolder(): string {
  return mkdtempSync(join(tmpdir(), "runlayer-audit-"));
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
}

export function journalFolder(dataDir: string): string {
  return join(dataDir, "journal");
}

/** The audit log as the program wires it, on a real database and a real journal. */
export async function openAudit(dataDir: string, settings: AuditSettings = {}): Promise<AuditParts> {
  const problems: unknown[] = [];
  const onProblem = (problem: unknown): void => void problems.push(problem);
  const { databaseUrl, segmentBytes, depthMax, failingMsMax, clock } = settings;
  const real = await openStore({ dataDir, databaseUrl, clock: systemClock });
  const store = settings.wrapStore?.(real) ?? real;
  const bare =
    settings.hasTableJournal === true || databaseUrl !== undefined
      ? createTableJournal(store)
      : createFileJournal({ directory: journalFolder(dataDir), store, segmentBytes, onProblem });
  const journal = settings.wrapJournal?.(bare) ?? bare;
  const sequencer = createSequencer({ store, journal, onProblem });
  const log = await openAuditLog({ journal, sequencer, depthMax, failingMsMax, clock, onProblem });
  return { store, journal, sequencer, log, problems };
}

export function aDecision(changes: Partial<DecisionDraft> = {}): DecisionDraft {
  return {
    id: newId(),
    time: Date.now(),
    actor: { type: "agent", id: newId(), name: "claude-dev", ip: "10.0.0.3", client: "claude-code/2.1" },
    action: "tool.call",
    resource: { type: "server", id: newId(), name: "github" },
    policies: [{ id: newId(), name: "allow-dev" }],
    correlationId: newId(),
    sessionId: newId(),
    details: {
      tool: "create_issue",
      arguments: { title: "A bug in the parser", body: "x".repeat(150), labels: ["a"] },
    },
    ...changes,
  };
}

export function anEvent(changes: Partial<AuditEventDraft> = {}): AuditEventDraft {
  return { ...aDecision(), outcome: "denied", reason: "not_assigned", ...changes };
}

/** The whole log, in order. */
export async function allEvents(store: Store): Promise<readonly AuditEvent[]> {
  const events: AuditEvent[] = [];
  let after: string | undefined;
  do {
    const page = await store.read(({ audit }) => audit.list({}, { limit: 1_000, after, order: "asc" }));
    events.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return events;
}
