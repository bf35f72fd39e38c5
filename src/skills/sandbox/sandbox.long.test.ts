import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "./limits.ts";
import { Sandbox } from "./sandbox.ts";

/** Enough that a thread gets a tenth of its time. */
const RIVALS = 10 * availableParallelism();

test("a machine that is busy with something else fails no run that computes little", async () => {
  const sandbox = new Sandbox({ threads: 1 });
  const rivals = Array.from({ length: RIVALS }, () => new Worker("for (;;);", { eval: true }));
  const job = {
    skillName: "probe",
    code: "export default () => { const end = Date.now() + 2500; while (Date.now() < end); return 1; }",
    inputJson: "{}",
    inputSchema: undefined,
    outputSchema: undefined,
    limits: { ...DEFAULT_LIMITS, wallMs: 25_000 },
  };
  const host = {
    owner: "agent-1",
    call: () => Promise.reject(new Error("it calls nothing")),
    log: () => undefined,
    restarted: () => undefined,
  };
  // 2.5 s pass while it computes for about 0.25 s of them: past the limit of 1.5 s, but not of its own time.
  const result = await sandbox.start(job, host).result;
  await Promise.all(rivals.map((rival) => rival.terminate()));
  await sandbox.close();
  expect(result).toMatchObject({ ok: true, outputJson: "1" });
});
