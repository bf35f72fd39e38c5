import { AppError } from "../../lib/errors.ts";

/** What was seen of an upstream while it was contacted: the evidence that a failure is classified by. */
export class Contact {
  readonly #startedAt = performance.now();
  readonly #bytesMax: number;
  #bytes = 0;
  /** Time to the first answer; undefined while there was none. */
  latencyMs: number | undefined;
  lastStatus: number | undefined;
  /** The guard's refusal: the upstream was not contacted. */
  refusal: AppError | undefined;
  /** Our own statement of what the upstream did wrong; the first one explains the rest. */
  fault: string | undefined;
  isHandshakeDone = false;
  /** What a command wrote to its standard error before it ended. */
  lastWords: readonly string[] | undefined;

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  answered(status?: number): void {
    this.latencyMs ??= this.elapsedMs();
    if (status !== undefined) this.lastStatus = status;
  }

  elapsedMs(): number {
    return Math.round(performance.now() - this.#startedAt);
  }

  /** Counts received bytes over all answers; throws when the bound is passed. */
  receive(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes <= this.#bytesMax) return;
    throw this.fail(`answered more than ${this.#bytesMax} bytes`);
  }

  fail(fault: string): AppError {
    this.fault ??= fault;
    return new AppError("upstream_error", `the server ${fault}`);
  }
}
