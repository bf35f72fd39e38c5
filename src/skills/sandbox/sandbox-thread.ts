import { Worker } from "node:worker_threads";
import { STATE, type FromWorker, type ToWorker, type WorkerSetup } from "./protocol.ts";

/** What a thread tells its owner. After `onExit` it is gone. */
export interface ThreadListener {
  onMessage(message: FromWorker): void;
  /** `culprit` is the run that was inside the engine when the thread ended, if any. */
  onExit(culprit: number | undefined): void;
}

/** JavaScript objects of the thread itself; the engines' memory is outside of it and bounded per run. */
const HEAP_MB_MAX = 128;
/** The engine's own guard must trip first, and its frames are large. */
const STACK_MB = 8;

/** One worker thread and what can be seen of it from outside while it is too busy to answer. */
export class SandboxThread {
  readonly #worker: Worker;
  readonly #state: WorkerSetup["state"];
  #entrySeen = 0;
  #entrySeenAt = 0;
  #isAsked = false;
  #hasExited = false;

  constructor(wasm: WebAssembly.Module, listener: ThreadListener) {
    this.#state = new Int32Array(new SharedArrayBuffer(STATE.cells * Int32Array.BYTES_PER_ELEMENT));
    const workerData: WorkerSetup = { wasm, state: this.#state };
    const file = import.meta.url.endsWith(".ts") ? "./sandbox.worker.ts" : "./sandbox.worker.js";
    this.#worker = new Worker(new URL(file, import.meta.url), {
      workerData,
      env: {},
      resourceLimits: { maxOldGenerationSizeMb: HEAP_MB_MAX, stackSizeMb: STACK_MB },
    });
    this.#worker.on("message", (message: FromWorker) => listener.onMessage(message));
    // An error ends the thread; `exit` follows and carries all that is needed.
    this.#worker.on("error", () => undefined);
    this.#worker.on("exit", () => this.#onExit(listener));
  }

  post(message: ToWorker): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker thread, not a window: it has no origin
    this.#worker.postMessage(message);
  }

  /** Whether the event loop of the process waits for this thread. */
  keepAlive(isKept: boolean): void {
    if (isKept) this.#worker.ref();
    else this.#worker.unref();
  }

  /** The run that has been inside the engine since at least the last look, and for how long that has been seen. */
  look(nowMs: number): { readonly run: number; readonly busyMs: number } | undefined {
    const run = Atomics.load(this.#state, STATE.currentRun);
    const entry = Atomics.load(this.#state, STATE.entry);
    if (run === 0) return undefined;
    if (entry !== this.#entrySeen) {
      this.#entrySeen = entry;
      this.#entrySeenAt = nowMs;
    }
    return { run, busyMs: nowMs - this.#entrySeenAt };
  }

  /**
   * Ends the thread where it has computed for longer than `cpuMsMax` in the step that it is in. On a busy machine time passes in
   * which it does not compute; a thread that cannot be asked is ended after `waitMsMax` in that step.
   */
  async endIfStuck({ cpuMsMax, waitMsMax }: { cpuMsMax: number; waitMsMax: number }): Promise<void> {
    const entry = this.#entrySeen;
    if (performance.now() - this.#entrySeenAt > waitMsMax) return this.terminate();
    if (this.#isAsked) return;
    this.#isAsked = true;
    const usedMs = await this.#cpuMsSinceEntry();
    this.#isAsked = false;
    const isSameStep = Atomics.load(this.#state, STATE.entry) === entry && this.#entrySeen === entry;
    if (isSameStep && usedMs !== undefined && usedMs > cpuMsMax) await this.terminate();
  }

  /** Makes the engine give up a run at its next check, even while the thread cannot read messages. */
  stopRun(run: number): void {
    // Only for the run that is inside: the cell holds one number, and another's end must not overwrite it.
    if (Atomics.load(this.#state, STATE.currentRun) === run) Atomics.store(this.#state, STATE.stopRun, run);
    this.post({ type: "cancel", run });
  }

  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Undefined for a thread that has ended meanwhile. */
  async #cpuMsSinceEntry(): Promise<number | undefined> {
    const enteredAt = Atomics.load(this.#state, STATE.entryCpuMs);
    try {
      const { user, system } = await this.#worker.cpuUsage();
      // Both wrap around as whole numbers of 32 bits do.
      return (Math.trunc((user + system) / 1_000) - enteredAt) | 0;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "ERR_WORKER_NOT_RUNNING") return undefined;
      throw error;
    }
  }

  #onExit(listener: ThreadListener): void {
    if (this.#hasExited) return;
    this.#hasExited = true;
    const culprit = Atomics.load(this.#state, STATE.currentRun);
    listener.onExit(culprit === 0 ? undefined : culprit);
  }
}
