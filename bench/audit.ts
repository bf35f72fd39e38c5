import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { AuditLog } from "../src/audit/audit-log.ts";
import type { DecisionDraft } from "../src/domain/audit-event.ts";
import { openAuditLog } from "../src/audit/durable-audit-log.ts";
import { createFileJournal } from "../src/audit/file-journal.ts";
import type { DecisionJournal } from "../src/audit/decision-journal.ts";
import { createSequencer, type Sequencer } from "../src/audit/sequencer.ts";
import { createTableJournal } from "../src/audit/table-journal.ts";
import { systemClock } from "../src/lib/clock.ts";
import { newId } from "../src/lib/ids.ts";
import { openStore } from "../src/store/open-store.ts";
import type { Store } from "../src/store/ports.ts";

/*
 * What recording one call costs: `stage` of a 700-byte decision, 10 ms for the upstream, `settle`, down to the row with its
 * `seq` and leaf. CPU is that of the whole process, all threads; `nothing` is what the load itself costs.
 * `node bench/audit.ts [seconds]`
 */

const SECONDS = Number(process.argv[2] ?? 3);
const CALLERS = (process.argv[3] ?? "1,16,64").split(",").map(Number);
const UPSTREAM_MS = 10;

interface Variant {
  readonly name: string;
  open(folder: string, store: Store): Promise<AuditLog>;
}

const NOTHING: AuditLog = {
  stage: nothing,
  hurry: () => {},
  refuseIfUnable: () => {},
  settle: () => {},
  record: nothing,
  post: () => {},
  flush: nothing,
  close: nothing,
  depth: 0,
  openDecisions: 0,
  isHealthy: true,
};

/** Takes events and forgets them, to show the journal's own share. */
const FORGETFUL: Sequencer = {
  hand: () => {},
  nudge: () => {},
  flush: nothing,
  close: nothing,
  depth: 0,
  size: 0,
  isHealthy: true,
  failingMs: 0,
};

const VARIANTS: readonly Variant[] = [
  { name: "nothing", open: () => Promise.resolve(NOTHING) },
  {
    name: "journal file alone",
    open: (folder, store) => openAuditLog({ journal: fileJournal(folder, store), sequencer: FORGETFUL }),
  },
  {
    name: "journal file + log",
    open(folder, store) {
      const journal = fileJournal(folder, store);
      return openAuditLog({ journal, sequencer: createSequencer({ store, journal }) });
    },
  },
  {
    name: "staging table + log",
    open(_, store) {
      const journal = createTableJournal(store);
      return openAuditLog({ journal, sequencer: createSequencer({ store, journal }) });
    },
  },
];

async function nothing(): Promise<void> {}

function fileJournal(folder: string, store: Store): DecisionJournal {
  return createFileJournal({ directory: join(folder, "journal"), store });
}

console.log("variant               callers   calls/s   CPU µs/call   stage p50 ms   stage p99 ms");
for (const variant of VARIANTS) for (const callers of CALLERS) await measure(variant, callers);

async function measure(variant: Variant, callers: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "runlayer-bench-"));
  const store = await openStore({ dataDir: folder, clock: systemClock });
  const log = await variant.open(folder, store);
  await load(log, callers, 300);
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const stageMs = await load(log, callers, SECONDS * 1000);
  await log.flush();
  const { user, system } = process.cpuUsage(cpu);
  const seconds = (performance.now() - startedAt) / 1000;
  await log.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
  const sorted = stageMs.toSorted((left, right) => left - right);
  const at = (part: number): string => (sorted[Math.floor(sorted.length * part)] ?? 0).toFixed(2);
  const columns = [
    (sorted.length / seconds).toFixed(0),
    ((user + system) / sorted.length).toFixed(1),
    at(0.5),
    at(0.99),
  ];
  const widths = [10, 14, 15, 15];
  const row = columns.map((column, index) => column.padStart(widths[index] ?? 0)).join("");
  console.log(`${variant.name.padEnd(22)}${String(callers).padStart(7)}${row}`);
}

/** Gives how long each decision waited to be durable. */
async function load(log: AuditLog, callers: number, forMs: number): Promise<number[]> {
  const end = performance.now() + forMs;
  const waits: number[] = [];
  const call = async (): Promise<void> => {
    const template = decision();
    while (performance.now() < end) {
      const id = newId();
      const before = performance.now();
      await log.stage({ ...template, id, correlationId: id });
      waits.push(performance.now() - before);
      await sleep(UPSTREAM_MS);
      log.settle(id, { outcome: "success", durationMs: 12, details: { answerBytes: 1234 } });
    }
  };
  await Promise.all(Array.from({ length: callers }, call));
  return waits;
}

function decision(): DecisionDraft {
  return {
    id: newId(),
    time: Date.now(),
    actor: { type: "agent", id: newId(), name: "claude-dev", ip: "10.0.0.3", client: "claude-code/2.1" },
    action: "tool.call",
    resource: { type: "server", id: newId(), name: "github" },
    policies: [{ id: newId(), name: "allow-developers" }],
    correlationId: newId(),
    sessionId: newId(),
    details: {
      tool: "create_issue",
      arguments: { title: "A bug in the parser", body: "x".repeat(150), labels: ["a"] },
    },
  };
}
