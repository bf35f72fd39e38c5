import { parentPort, workerData } from "node:worker_threads";
import { assert } from "../../lib/assert.ts";
import { compileSkill, createCompiler, findBytecode, loadPrelude, SkillCodeError } from "./compile-skill.ts";
import { createEngineClock, type Meter } from "./engine-clock.ts";
import { GuestRun, type GuestPort } from "./guest-run.ts";
import type { GuestFailure } from "./guest-failure.ts";
import type { FromWorker, SandboxJob, ToWorker, WorkerSetup } from "./protocol.ts";
import { limitExceeded, type RunError } from "./run-error.ts";
import { checkSchema, SchemaError, type SchemaProblem } from "./schema-check.ts";

/** The thread in which skills run. It holds no authority: it can compute, and post text to the main thread. */
assert(parentPort !== null, "the sandbox worker runs in a worker thread");
const port = parentPort;
const setup: WorkerSetup = workerData;
const clock = createEngineClock(setup.state);
const runs = new Map<number, GuestRun>();
/** Runs that were cancelled while they were still being prepared. */
const starting = new Set<number>();

port.on("message", (message: ToWorker) => {
  if (message.type === "run") void startRun(message.run, message.job);
  else if (message.type === "reply") runs.get(message.run)?.reply(message.call, message.reply);
  else cancel(message.run);
});

function cancel(run: number): void {
  starting.delete(run);
  runs.get(run)?.dispose();
  runs.delete(run);
}

async function startRun(run: number, job: SandboxJob): Promise<void> {
  const meter: Meter = { run, cpuMsMax: job.limits.cpuMs, cpuMs: 0 };
  starting.add(run);
  try {
    const problem = clock.charge(meter, () => findProblem(job.inputSchema, job.inputJson));
    if (problem !== undefined) {
      finish(meter, { error: toSchemaError("input", problem) });
      return;
    }
    const bytecode = findBytecode(job.code) ?? (await compile(job.code, meter));
    const prelude = await loadPrelude(setup.wasm);
    if (!starting.has(run)) return;
    const guest = await GuestRun.start({ ...setup, prelude, bytecode, job, meter, clock, port: guestPort(job, meter) });
    if (starting.has(run)) runs.set(run, guest);
    else guest.dispose();
  } catch (error) {
    finish(meter, { error: toStartError(error) });
  }
}

async function compile(code: string, meter: Meter): Promise<Uint8Array> {
  const compiler = await createCompiler({ wasm: setup.wasm, isExpired: clock.isExpired });
  try {
    return clock.charge(meter, () => compileSkill(compiler, code));
  } finally {
    compiler.dispose();
  }
}

function guestPort(job: SandboxJob, meter: Meter): GuestPort {
  const { run } = meter;
  return {
    onCall: (call, request) => post({ type: "call", run, call, request }),
    onLog: (text) => post({ type: "log", run, text }),
    onEnd(result) {
      if ("outputJson" in result) endWithOutput({ job, meter, outputJson: result.outputJson });
      else finish(meter, result);
    },
  };
}

/** Not inside the engine's call: the check of the output is a step of its own, charged to the same run. */
function endWithOutput({ job, meter, outputJson }: { job: SandboxJob; meter: Meter; outputJson: string }): void {
  queueMicrotask(() => {
    const problem = clock.charge(meter, () => findProblem(job.outputSchema, outputJson));
    finish(meter, problem === undefined ? { outputJson } : { error: toSchemaError("output", problem) });
  });
}

function findProblem(schema: string | undefined, json: string): SchemaProblem | SchemaError | undefined {
  if (schema === undefined) return undefined;
  try {
    return checkSchema(schema, JSON.parse(json));
  } catch (error) {
    if (error instanceof SchemaError) return error;
    // What cannot be checked does not fit, whatever the reason.
    return { path: "/", problem: "is too large or nests too deeply to be checked" };
  }
}

function toSchemaError(side: "input" | "output", problem: SchemaProblem | SchemaError): RunError {
  const schema = side === "input" ? "inputSchema" : "outputSchema";
  if (problem instanceof SchemaError) {
    return { code: "invalid_input", message: `\`${schema}\` cannot be used: ${problem.message}` };
  }
  const message = `the ${side} does not fit the skill's \`${schema}\`: \`${problem.path}\` ${problem.problem}`;
  // A wrong input is the caller's fault, a wrong output the skill's.
  return { code: side === "input" ? "invalid_input" : "upstream_error", message, details: { ...problem } };
}

function toStartError(error: unknown): RunError {
  if (error instanceof SkillCodeError) {
    return { code: "invalid_input", message: `the code does not parse: ${error.message}` };
  }
  if (error instanceof RangeError) return limitExceeded("memoryBytes", "the machine has no room for another run");
  return { code: "internal", message: "the sandbox failed to start the run" };
}

function finish(meter: Meter, end: { readonly outputJson: string } | GuestFailure): void {
  // In a later turn, so that the engine is left before it is dropped and its last time is counted.
  queueMicrotask(() => {
    cancel(meter.run);
    const result = "outputJson" in end ? { ok: true as const, ...end } : { ok: false as const, ...end };
    post({ type: "done", run: meter.run, result: { ...result, cpuMs: meter.cpuMs } });
  });
}

function post(message: FromWorker): void {
  port.postMessage(message);
}
