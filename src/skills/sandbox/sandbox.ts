import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { AppError } from "../../lib/errors.ts";
import type { CallReply, FromWorker, GuestCall, GuestResult, SandboxJob } from "./protocol.ts";
import { limitExceeded, type RunError } from "./run-error.ts";
import { SandboxThread } from "./sandbox-thread.ts";

export interface SandboxOptions {
  /** Threads that run skills. Default: one per processor, at least two, at most four. */
  readonly threads?: number | undefined;
  /** Runs alive at a time, shared out among owners; further ones wait. Default 64. */
  readonly runsMax?: number | undefined;
  /** Runs that wait, shared out alike; further ones are refused. Default 1 000. */
  readonly queueMax?: number | undefined;
}

/** What a run needs from its surroundings. */
export interface SandboxHost {
  /** Whose run it is: who has many leaves room for the others. */
  readonly owner: string;
  /** Makes a call. MUST NOT reject: a failure is a refusal. */
  call(request: GuestCall, call: number): Promise<CallReply>;
  log(text: string): void;
  /** The run starts over because its thread was lost to another run: calls will be asked for again, logs come again. */
  restarted(): void;
}

/** A run under way. `pause` and `resume` stop and restart its wall clock. */
export interface SandboxRun {
  readonly result: Promise<GuestResult>;
  pause(): void;
  resume(): void;
  /** Ends the run with this error, even inside an endless loop. No effect when it is over. */
  stop(error: RunError): void;
}

/** Figures of the moment, for metrics and tests. */
export interface SandboxStats {
  readonly running: number;
  readonly queued: number;
  readonly threadsLost: number;
}

interface Run {
  readonly number: number;
  readonly job: SandboxJob;
  readonly host: SandboxHost;
  readonly resolve: (result: GuestResult) => void;
  slot: Slot | undefined;
  timer: NodeJS.Timeout | undefined;
  wallMsLeft: number;
  clockStartedAt: number;
  starts: number;
}

interface Slot {
  thread: SandboxThread | undefined;
  readonly runs: Map<number, Run>;
}

const RUNS_MAX = 64;
const QUEUE_MAX = 1_000;
/** How often busy threads are looked at. */
const WATCH_MS = 20;
/** A thread that has been inside one run this long gets no new ones: they would wait behind it. */
const BUSY_MS = 40;
/** Native steps (a sort, a long pattern) do not see the deadline: after this much more the thread is ended. */
const GRACE_MS = 500;
/** How much longer a step may take on a machine that gives its thread little time. */
const BUSY_MACHINE_FACTOR = 10;
/** A thread can still get stuck in a run that was given up before it began: the watch outlives the last run. */
const LINGER_MS = 5_000;
/** A run that has lost its thread this often to others is given up. */
const STARTS_MAX = 3;

/** The threads in which skills run. Owns them: `close` MUST be called. */
export class Sandbox {
  readonly #options: Required<{ [Name in keyof SandboxOptions]: number }>;
  readonly #slots: readonly Slot[];
  readonly #queue: Run[] = [];
  readonly #runs = new Map<number, Run>();
  #wasm: WebAssembly.Module | undefined;
  #watch: NodeJS.Timeout | undefined;
  #quietSince = 0;
  #lastRun = 0;
  #threadsLost = 0;
  #isClosed = false;

  constructor(options: SandboxOptions = {}) {
    this.#options = {
      threads: options.threads ?? Math.min(4, Math.max(2, availableParallelism())),
      runsMax: options.runsMax ?? RUNS_MAX,
      queueMax: options.queueMax ?? QUEUE_MAX,
    };
    this.#slots = Array.from({ length: this.#options.threads }, () => ({ thread: undefined, runs: new Map() }));
  }

  /** Starts a run, or queues it. Throws `unavailable` when closed, `rate_limited` when its owner's share of the queue is used up. */
  start(job: SandboxJob, host: SandboxHost): SandboxRun {
    if (this.#isClosed) throw new AppError("unavailable", "the sandbox is shut down");
    const waiting = countByOwner(this.#queue).get(host.owner) ?? 0;
    if (waiting >= this.#options.queueMax - this.#queue.length) {
      const whose = waiting > 0 ? " of this agent" : "";
      throw new AppError("rate_limited", `too many skill runs${whose} are waiting; try again when some have ended`);
    }
    const { promise, resolve } = Promise.withResolvers<GuestResult>();
    this.#lastRun += 1;
    const number = this.#lastRun;
    const run: Run = {
      number,
      job,
      host,
      resolve,
      slot: undefined,
      timer: undefined,
      wallMsLeft: job.limits.wallMs,
      clockStartedAt: 0,
      starts: 0,
    };
    this.#runs.set(number, run);
    this.#startClock(run);
    this.#queue.push(run);
    this.#dispatch();
    return {
      result: promise,
      pause: () => this.#stopClock(run),
      resume: () => this.#startClock(run),
      stop: (error) => this.#end(run, { ok: false, error, cpuMs: 0 }),
    };
  }

  stats(): SandboxStats {
    return {
      running: this.#runs.size - this.#queue.length,
      queued: this.#queue.length,
      threadsLost: this.#threadsLost,
    };
  }

  /** Ends every run with `unavailable` and every thread. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.#stopWatch();
    const error: RunError = { code: "unavailable", message: "the server is shutting down" };
    for (const run of this.#runs.values()) this.#end(run, { ok: false, error, cpuMs: 0 });
    await Promise.all(this.#slots.map(async (slot) => slot.thread?.terminate()));
  }

  #dispatch(): void {
    const now = performance.now();
    while (this.#queue.length > 0) {
      const slot = this.#findSlot(now);
      const run = slot === undefined ? undefined : this.#takeStartable();
      if (slot === undefined || run === undefined) break;
      run.slot = slot;
      run.starts += 1;
      slot.runs.set(run.number, run);
      slot.thread ??= this.#spawn(slot);
      slot.thread.keepAlive(true);
      slot.thread.post({ type: "run", run: run.number, job: run.job });
    }
    if (this.#runs.size > 0) this.#watch ??= setInterval(() => this.#onWatch(), WATCH_MS).unref();
  }

  /**
   * The next run whose owner has fewer than are left free. So one owner alone has half of the places, several have as many each as stay free, and
   * one that comes anew always finds some.
   */
  #takeStartable(): Run | undefined {
    const started = [...this.#runs.values()].filter(({ slot }) => slot !== undefined);
    const free = this.#options.runsMax - started.length;
    const running = countByOwner(started);
    const index = this.#queue.findIndex(({ host }) => (running.get(host.owner) ?? 0) < free);
    return index === -1 ? undefined : this.#queue.splice(index, 1)[0];
  }

  /** The thread with the fewest runs among those that can take one. */
  #findSlot(now: number): Slot | undefined {
    const perSlot = Math.ceil(this.#options.runsMax / this.#options.threads);
    const free = this.#slots.filter(
      ({ runs, thread }) => runs.size < perSlot && (thread?.look(now)?.busyMs ?? 0) < BUSY_MS,
    );
    return free.toSorted((left, right) => left.runs.size - right.runs.size)[0];
  }

  #spawn(slot: Slot): SandboxThread {
    this.#wasm ??= new WebAssembly.Module(readFileSync(new URL(import.meta.resolve("quickjs-wasi/quickjs.wasm"))));
    return new SandboxThread(this.#wasm, {
      onMessage: (message) => this.#onMessage(message),
      onExit: (culprit) => this.#onExit(slot, culprit),
    });
  }

  #onMessage(message: FromWorker): void {
    const run = this.#runs.get(message.run);
    if (run === undefined) return;
    if (message.type === "done") this.#end(run, message.result);
    else if (message.type === "log") run.host.log(message.text);
    else void this.#onCall(run, message);
  }

  async #onCall(run: Run, { call, request }: { readonly call: number; readonly request: GuestCall }): Promise<void> {
    const { starts } = run;
    const reply = await run.host.call(request, call);
    // The run may have ended, or started over and asked again, while the call was made.
    if (this.#runs.has(run.number) && run.starts === starts) {
      run.slot?.thread?.post({ type: "reply", run: run.number, call, reply });
    }
  }

  /** Looks at busy threads from outside: a thread stuck in one native step cannot keep its own deadline. */
  #onWatch(): void {
    const now = performance.now();
    let isAnyBusy = false;
    for (const { thread } of this.#slots) {
      const busy = thread?.look(now);
      if (busy === undefined) continue;
      isAnyBusy = true;
      const cpuMsMax = this.#runs.get(busy.run)?.job.limits.cpuMs ?? 0;
      const limitMs = cpuMsMax + GRACE_MS;
      if (busy.busyMs > limitMs) void thread?.endIfStuck({ cpuMsMax, waitMsMax: BUSY_MACHINE_FACTOR * limitMs });
    }
    if (this.#runs.size > 0 || isAnyBusy) this.#quietSince = now;
    else if (now - this.#quietSince > LINGER_MS) this.#stopWatch();
    this.#dispatch();
  }

  #stopWatch(): void {
    clearInterval(this.#watch);
    this.#watch = undefined;
  }

  #onExit(slot: Slot, culprit: number | undefined): void {
    slot.thread = undefined;
    if (this.#isClosed) return;
    this.#threadsLost += 1;
    const lost = [...slot.runs.values()];
    slot.runs.clear();
    for (const run of lost) {
      run.slot = undefined;
      if (run.number === culprit) this.#end(run, { ok: false, error: STUCK, cpuMs: run.job.limits.cpuMs });
      else if (run.starts >= STARTS_MAX) this.#end(run, { ok: false, error: LOST, cpuMs: 0 });
      else {
        run.host.restarted();
        this.#queue.unshift(run);
      }
    }
    this.#dispatch();
  }

  #end(run: Run, result: GuestResult): void {
    if (!this.#runs.delete(run.number)) return;
    clearTimeout(run.timer);
    const queued = this.#queue.indexOf(run);
    if (queued !== -1) this.#queue.splice(queued, 1);
    run.slot?.thread?.stopRun(run.number);
    run.slot?.runs.delete(run.number);
    if (run.slot?.runs.size === 0) run.slot.thread?.keepAlive(false);
    run.resolve(result);
    this.#dispatch();
  }

  #startClock(run: Run): void {
    if (run.timer !== undefined) return;
    run.clockStartedAt = performance.now();
    run.timer = setTimeout(() => {
      this.#end(run, { ok: false, error: overdue(run), cpuMs: 0 });
    }, run.wallMsLeft);
  }

  #stopClock(run: Run): void {
    clearTimeout(run.timer);
    run.timer = undefined;
    run.wallMsLeft = Math.max(0, run.wallMsLeft - (performance.now() - run.clockStartedAt));
  }
}

function countByOwner(runs: readonly Run[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const { host } of runs) counts.set(host.owner, (counts.get(host.owner) ?? 0) + 1);
  return counts;
}

function overdue({ starts, job: { limits } }: Run): RunError {
  if (starts > 0) return { code: "timeout", message: `the skill did not end within ${limits.wallMs} ms` };
  const message = `too many skill runs are under way: this one got no place within ${limits.wallMs} ms and did not start; try again when some have ended`;
  return { code: "rate_limited", message };
}

const STUCK = limitExceeded("cpuMs", "the skill computed without end and was stopped with its thread");
const LOST: RunError = { code: "unavailable", message: "the run lost its thread to other runs; try again" };
