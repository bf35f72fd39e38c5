import { AppError } from "../lib/errors.ts";
import type { ScanSlot } from "../operations/sweep/ports.ts";
import type { Store } from "../store/ports.ts";

/** One scan at a time on this node. A scan in the background ends with it. */
export class OneScanSlot implements ScanSlot {
  readonly #store: Store;
  readonly #onProblem: (error: unknown) => void;
  readonly #stop = new AbortController();
  #isTaken = false;
  #background: Promise<void> = Promise.resolve();

  constructor({ store, onProblem }: { readonly store: Store; readonly onProblem: (error: unknown) => void }) {
    this.#store = store;
    this.#onProblem = onProblem;
  }

  acquire(): () => void {
    if (this.#isTaken) {
      throw new AppError("conflict", "a scan is running; wait for it, get_scan_results shows when it is done");
    }
    this.#isTaken = true;
    return () => {
      this.#isTaken = false;
    };
  }

  startInBackground(work: (signal: AbortSignal, store: Store) => Promise<void>): void {
    const release = this.acquire();
    this.#background = work(this.#stop.signal, this.#store).catch(this.#onProblem).finally(release);
  }

  /** Stops the scan in the background, which stores that it was stopped. */
  async close(): Promise<void> {
    this.#stop.abort(new AppError("unavailable", "the server stopped before the scan was done"));
    await this.#background;
  }
}
