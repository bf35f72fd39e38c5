import { STATE } from "./protocol.ts";

/** Who asked for the engine and how much of its time it has used. */
export interface Meter {
  readonly run: number;
  readonly cpuMsMax: number;
  cpuMs: number;
}

/** Counts the thread's own time per run, and shows the main thread which run is inside the engine right now. */
export interface EngineClock {
  /** Runs `work` on the account of one run. */
  charge<Result>(meter: Meter, work: () => Result): Result;
  /** Whether the run that is inside the engine has used up its time or was told to stop. Called by the engine itself. */
  readonly isExpired: () => boolean;
}

export function createEngineClock(state: Int32Array<SharedArrayBuffer>): EngineClock {
  let current: Meter | undefined;
  let enteredAt = 0;

  return {
    charge(meter, work) {
      // Host stack lines must not reach a skill through an error that the binding copies into the engine.
      const { stackTraceLimit } = Error;
      Error.stackTraceLimit = 0;
      current = meter;
      enteredAt = threadMs();
      Atomics.store(state, STATE.entryCpuMs, Math.trunc(enteredAt));
      Atomics.store(state, STATE.currentRun, meter.run);
      Atomics.add(state, STATE.entry, 1);
      try {
        return work();
      } finally {
        meter.cpuMs += threadMs() - enteredAt;
        current = undefined;
        Atomics.store(state, STATE.currentRun, 0);
        Error.stackTraceLimit = stackTraceLimit;
      }
    },
    isExpired() {
      if (current === undefined) return false;
      if (Atomics.load(state, STATE.stopRun) === current.run) return true;
      return current.cpuMs + threadMs() - enteredAt > current.cpuMsMax;
    },
  };
}

/** Processor time of this thread: a busy machine must not fail a run that hardly computed. */
function threadMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1_000;
}
