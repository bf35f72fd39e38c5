import { type JSValueHandle, Intrinsics, QuickJS } from "quickjs-wasi";
import type { EngineClock, Meter } from "./engine-clock.ts";
import { toGuestFailure, type GuestFailure } from "./guest-failure.ts";
import { guestWasi } from "./guest-wasi.ts";
import { isDeeperThan } from "./json-depth.ts";
import { JSON_DEPTH_MAX } from "./limits.ts";
import type { CallReply, GuestCall, SandboxJob } from "./protocol.ts";
import { limitExceeded } from "./run-error.ts";

/** What a run says to its surroundings. `onEnd` comes exactly once, and nothing after it. */
export interface GuestPort {
  onCall(call: number, request: GuestCall): void;
  onLog(text: string): void;
  onEnd(result: { readonly outputJson: string } | GuestFailure): void;
}

export interface GuestRunParts {
  readonly wasm: WebAssembly.Module;
  readonly prelude: Uint8Array;
  readonly bytecode: Uint8Array;
  readonly job: SandboxJob;
  readonly meter: Meter;
  readonly clock: EngineClock;
  readonly port: GuestPort;
}

/**
 * What a skill finds: the language, without dynamic code (`eval`, `Function`), without a finer clock than `Date`, and
 * without `WeakRef`, which would show when the engine collects garbage.
 */
const INTRINSICS =
  Intrinsics.DATE |
  Intrinsics.REGEXP |
  Intrinsics.JSON |
  Intrinsics.PROXY |
  Intrinsics.MAP_SET |
  Intrinsics.TYPED_ARRAYS |
  Intrinsics.PROMISE |
  Intrinsics.BIG_INT |
  Intrinsics.ATOB_BTOA;

/** Below this the engine throws a RangeError inside the skill before the thread's own stack is reached. */
const STACK_BYTES = 256 * 1024;

/** One run of one skill in an engine of its own. Every value that crosses is text. */
export class GuestRun {
  readonly #parts: GuestRunParts;
  readonly #vm: QuickJS;
  #settle: JSValueHandle | undefined;
  #calls = 0;
  #callsOpen = 0;
  #logBytes = 0;
  #logLines = 0;
  #hasEnded = false;

  private constructor(parts: GuestRunParts, vm: QuickJS) {
    this.#parts = parts;
    this.#vm = vm;
  }

  /** Starts the run; it ends through `port.onEnd`, possibly before this resolves. */
  static async start(parts: GuestRunParts): Promise<GuestRun> {
    const vm = await QuickJS.create({
      wasm: parts.wasm,
      wasi: guestWasi,
      intrinsics: INTRINSICS,
      memoryLimit: parts.job.limits.memoryBytes,
      maxStackSize: STACK_BYTES,
      // UTC everywhere: a skill must not tell where the server stands, nor differ between nodes.
      timezoneOffset: 0,
      interruptHandler: parts.clock.isExpired,
    });
    const run = new GuestRun(parts, vm);
    run.#enter(() => run.#boot());
    return run;
  }

  /** Hands the answer of a call to the skill. Ignored when the run is over. */
  reply(call: number, reply: CallReply): void {
    this.#enter(() => {
      const settle = this.#settle;
      if (settle === undefined) return;
      this.#callsOpen -= 1;
      const text = reply.ok ? reply.json : JSON.stringify(reply.error);
      const values = [String(call), reply.ok ? "1" : "0", text].map((value) => this.#vm.newString(value));
      this.#vm.callFunction(settle, this.#vm.undefined, ...values).dispose();
      this.#vm.executePendingJobs();
    });
  }

  /** Ends the run without a word. */
  dispose(): void {
    this.#hasEnded = true;
    this.#vm.dispose();
  }

  #boot(): void {
    const vm = this.#vm;
    const host = vm.newFunction("host", (kind, ...values) => vm.newString(this.#onGuest(text(kind), values.map(text))));
    const guest = vm.callFunction(vm.evalBytecode(this.#parts.prelude), vm.undefined, host);
    this.#settle = guest.getProp("settle");
    const start = guest.getProp("start");
    const loading = vm.evalBytecode(this.#parts.bytecode);
    vm.callFunction(start, vm.undefined, loading, vm.newString(this.#parts.job.inputJson)).dispose();
    vm.executePendingJobs();
  }

  /** The one door into the engine: whatever happens inside, the run ends with a reason or waits for a call. */
  #enter(work: () => void): void {
    if (this.#hasEnded) return;
    const { clock, meter } = this.#parts;
    clock.charge(meter, () => {
      try {
        work();
      } catch (error) {
        // An interrupted run also ends in an exception: the reason that the host knows comes first.
        this.#end(clock.isExpired() ? this.#expiry() : toGuestFailure(error));
      }
      if (clock.isExpired()) this.#end(this.#expiry());
    });
    if (!this.#hasEnded && this.#callsOpen === 0) this.#end({ error: NEVER_SETTLES });
  }

  #expiry(): GuestFailure {
    const { cpuMsMax } = this.#parts.meter;
    const message = `the skill computed longer than ${cpuMsMax} ms; look for a loop or a pattern that never ends`;
    return { error: limitExceeded("cpuMs", message) };
  }

  /** Every word of the skill to the host. Never throws: an exception would carry host text into the skill. */
  #onGuest(kind: string, values: readonly string[]): string {
    if (this.#hasEnded) return "";
    const [first = "", second = "", third = ""] = values;
    if (kind === "call") return this.#onCall({ server: first, tool: second, argumentsJson: third });
    if (kind === "log") this.#onLog(first);
    else if (kind === "done") this.#onDone(first);
    else if (kind === "failed") this.#end(toGuestFailure(first));
    else this.#end({ error: NO_FUNCTION });
    return "";
  }

  #onCall(request: GuestCall): string {
    const { callsMax, callArgumentsBytes } = this.#parts.job.limits;
    if (this.#calls === callsMax)
      return this.#refuse("callsMax", `the skill made more than ${callsMax} calls in one run`);
    if (Buffer.byteLength(request.argumentsJson) > callArgumentsBytes || isTooDeep(request.argumentsJson)) {
      const bound = `${callArgumentsBytes} bytes or ${JSON_DEPTH_MAX} levels`;
      return this.#refuse("callArgumentsBytes", `the arguments of a call are larger than ${bound}`);
    }
    this.#calls += 1;
    this.#callsOpen += 1;
    this.#parts.port.onCall(this.#calls, request);
    return String(this.#calls);
  }

  #onLog(line: string): void {
    const { logBytes, logLinesMax } = this.#parts.job.limits;
    this.#logBytes += Buffer.byteLength(line);
    this.#logLines += 1;
    if (this.#logBytes > logBytes) this.#refuse("logBytes", `the skill logged more than ${logBytes} bytes`);
    else if (this.#logLines > logLinesMax)
      this.#refuse("logLinesMax", `the skill logged more than ${logLinesMax} lines`);
    else this.#parts.port.onLog(line);
  }

  #onDone(outputJson: string): void {
    const { outputBytes } = this.#parts.job.limits;
    if (Buffer.byteLength(outputJson) > outputBytes || isTooDeep(outputJson)) {
      this.#refuse("outputBytes", `the output is larger than ${outputBytes} bytes or ${JSON_DEPTH_MAX} levels`);
      return;
    }
    this.#end({ outputJson });
  }

  #refuse(limit: string, message: string): string {
    this.#end({ error: limitExceeded(limit, message) });
    return "";
  }

  #end(result: { readonly outputJson: string } | GuestFailure): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#parts.port.onEnd(result);
  }
}

const NEVER_SETTLES = {
  code: "timeout",
  message: "the skill waits for a promise that nothing can settle; await only `callTool` and what you settle yourself",
} as const;

const NO_FUNCTION = {
  code: "invalid_input",
  message:
    "the code has no function as its default export; write `export default async function (input, { callTool, log })`",
} as const;

/** Only text crosses: anything else would run the skill's own conversion in the host's call. */
function text(value: JSValueHandle | undefined): string {
  return value?.isString === true ? value.toString() : "";
}

function isTooDeep(json: string): boolean {
  return isDeeperThan(json, JSON_DEPTH_MAX);
}
