/**
 * What a skill run costs: `node bench/skills.ts`. Prints one line per measure with its target and exits 1 when one is
 * missed. Targets (two cores): warm p50 ≤ 3 ms at c=1; 200 runs/s; nobody waits behind a run that never yields (it computes
 * for 1 s); 64 concurrent runs within 300 MB.
 */
import { systemClock } from "../src/lib/clock.ts";
import { createSkillRunner, type RunnableSkill } from "../src/skills/runner/skill-runner.ts";

const MB = 1024 * 1024;
const CALLER = { agentId: "bench", correlationId: "bench" };
const skill: RunnableSkill = {
  name: "format-date",
  code: `export default async function ({ date }) {
    const parsed = new Date(date);
    return { text: parsed.toISOString().slice(0, 10), weekday: parsed.getUTCDay() };
  }`,
  inputSchema: { type: "object", properties: { date: { type: "string" } }, required: ["date"] },
  servers: [],
};
const waiting: RunnableSkill = {
  name: "waiting",
  code: `export default async (input, { callTool }) => callTool("slow", "wait")`,
  servers: ["slow"],
};

const endless: RunnableSkill = { name: "endless", code: "export default () => { for (;;); }", servers: [] };

/** Longer than a thread needs to be known as busy. */
const SETTLE_MS = 100;

const gate = Promise.withResolvers<void>();
const runner = createSkillRunner({
  clock: systemClock,
  toolCaller: {
    async callTool() {
      await gate.promise;
      return { status: "success", json: "true" };
    },
    recheck: async () => undefined,
  },
});
const runs: boolean[] = [];
const once = async (chosen: RunnableSkill, agentId = CALLER.agentId): Promise<void> => {
  const result = await runner.run({ skill: chosen, input: { date: "2026-03-01" }, caller: { ...CALLER, agentId } });
  if (result.status !== "completed") throw new Error(`a run failed: ${JSON.stringify(result)}`);
};

async function sequential(count: number): Promise<readonly number[]> {
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const startedAt = performance.now();
    await once(skill);
    times.push(performance.now() - startedAt);
  }
  return times.toSorted((left, right) => left - right);
}

async function throughput(count: number, concurrency: number): Promise<number> {
  const startedAt = performance.now();
  let left = count;
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1;
      await once(skill);
    }
  };
  await Promise.all(Array.from({ length: concurrency }, lane));
  return (count * 1_000) / (performance.now() - startedAt);
}

function report(name: string, value: number, target: { readonly atMost?: number; readonly atLeast?: number }): void {
  const ok = value <= (target.atMost ?? Infinity) && value >= (target.atLeast ?? -Infinity);
  runs.push(ok);
  console.log(`${ok ? "ok  " : "MISS"} ${name}: ${value.toFixed(2)} (${JSON.stringify(target)})`);
}

await throughput(100, 8);
const times = await sequential(400);
report("warm run p50, ms", times[Math.floor(times.length * 0.5)] ?? NaN, { atMost: 3 });
report("warm run p99, ms", times[Math.floor(times.length * 0.99)] ?? NaN, {});
report("runs per second", await throughput(1_000, 16), { atLeast: 200 });
const spinning = runner.run({ skill: endless, input: {}, caller: CALLER });
await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
const beside = await sequential(200);
const { status, usage } = await spinning;
if (status !== "failed") throw new Error("the endless run has ended by itself");
report("beside a run that never yields, p50, ms", beside[Math.floor(beside.length * 0.5)] ?? NaN, {});
report("beside a run that never yields, worst, ms", beside.at(-1) ?? NaN, { atMost: 500 });
report("the run that never yields, CPU ms", usage.cpuMs, {});
const before = process.memoryUsage().rss;
const all = Array.from({ length: 64 }, async (_item, index) => once(waiting, `agent-${index}`));
await new Promise((resolve) => setTimeout(resolve, 1_500));
report("64 concurrent runs, whole process, MB", process.memoryUsage().rss / MB, { atMost: 300 });
report("64 concurrent runs, added, MB", (process.memoryUsage().rss - before) / MB, {});
gate.resolve();
await Promise.all(all);
await runner.close();
process.exitCode = runs.every(Boolean) ? 0 : 1;
