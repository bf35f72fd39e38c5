import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../src/lib/clock.ts";
import { newId } from "../src/lib/ids.ts";
import { openStore } from "../src/store/open-store.ts";
import { aDraft, aServer, toUnplaced } from "../test/harness/entities.ts";

/* What a write costs on SQLite: one small transaction, and events appended in batches of 500. */

const dataDir = mkdtempSync(join(tmpdir(), "runlayer-bench-"));
const opening = performance.now();
const store = await openStore({ dataDir, clock: systemClock });
console.log(`open: ${(performance.now() - opening).toFixed(0)} ms`);

const latencies: number[] = [];
for (let index = 0; index < 300; index += 1) {
  const started = performance.now();
  await store.transaction(({ servers }) => servers.insert(aServer()));
  latencies.push(performance.now() - started);
}
report("one insert per transaction", latencies, "ms");

const agents = Array.from({ length: 50 }, newId);
const perEvent: number[] = [];
const mainPerEvent: number[] = [];
const workerPerEvent: number[] = [];
for (let batch = 0; batch < 100; batch += 1) {
  const events = Array.from({ length: 500 }, (_, index) =>
    aDraft({
      time: Date.now(),
      actor: { type: "agent", id: agents[index % agents.length] ?? "", name: "builder" },
      details: {
        tool: "create_issue",
        server: { id: agents[(index * 7) % agents.length] ?? "", name: "github" },
        arguments: { body: "x".repeat(200) },
      },
    }),
  ).map(toUnplaced);
  const started = performance.now();
  const [all, main] = [process.cpuUsage(), process.threadCpuUsage()];
  await store.transaction(({ audit }) => audit.append(events, batch * 500 + 1));
  perEvent.push(((performance.now() - started) * 1_000) / 500);
  const ofMain = total(process.threadCpuUsage(main));
  mainPerEvent.push(ofMain / 500);
  workerPerEvent.push((total(process.cpuUsage(all)) - ofMain) / 500);
}
report("append of 500 events, wall per event", perEvent, "µs");
report("append of 500 events, CPU of the main thread per event", mainPerEvent, "µs");
report("append of 500 events, CPU of all other threads per event", workerPerEvent, "µs");

const page: number[] = [];
for (let index = 0; index < 50; index += 1) {
  const started = performance.now();
  await store.read(({ audit }) => audit.list({ agentId: agents[0] ?? "" }, { limit: 50, order: "desc" }));
  page.push(performance.now() - started);
}
report("page of one agent's events in 50 000", page, "ms");
await store.close();
rmSync(dataDir, { recursive: true, force: true });

function total({ user, system }: NodeJS.CpuUsage): number {
  return user + system;
}

function report(name: string, values: readonly number[], unit: string): void {
  const sorted = values.toSorted((left, right) => left - right);
  const at = (share: number) => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
  console.log(`${name}: median ${at(0.5)} ${unit}, p95 ${at(0.95)} ${unit}`);
}
