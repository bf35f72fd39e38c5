import type { KeyUse, Store } from "../store/ports.ts";

const INTERVAL_MS = 60_000;
// More distinct keys than this in one minute is no use to remember one by one.
const PENDING_MAX = 10_000;

interface PendingUse {
  at: number;
  ip: string | null;
  count: number;
}

export interface KeyUsageOptions {
  readonly store: Store;
  /** Told of failed writes; the uses stay pending and are written with the next. */
  readonly onProblem: (error: unknown) => void;
  readonly intervalMs?: number | undefined;
}

/** Counts uses of keys in memory and writes each key at most once a minute: a use costs no disk. */
export class KeyUsage {
  readonly #options: KeyUsageOptions;
  readonly #pending = new Map<string, PendingUse>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: KeyUsageOptions) {
    this.#options = options;
    this.#timer = setInterval(() => void this.#tick(), options.intervalMs ?? INTERVAL_MS).unref();
  }

  /** Counts one use. Never waits. */
  note(keyId: string, ip: string | undefined, at: number): void {
    const pending = this.#pending.get(keyId);
    if (pending === undefined) {
      if (this.#pending.size < PENDING_MAX) this.#pending.set(keyId, { at, ip: ip ?? null, count: 1 });
      return;
    }
    pending.at = at;
    pending.ip = ip ?? null;
    pending.count += 1;
  }

  /** What is counted and not yet written. */
  pending(keyId: string): Readonly<PendingUse> | undefined {
    return this.#pending.get(keyId);
  }

  /** Writes what is pending and stops counting. */
  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#write();
  }

  async #tick(): Promise<void> {
    try {
      await this.#write();
    } catch (error) {
      this.#options.onProblem(error);
    }
  }

  async #write(): Promise<void> {
    if (this.#pending.size === 0) return;
    const taken = new Map(this.#pending);
    this.#pending.clear();
    const uses: KeyUse[] = [...taken].map(([keyId, { at, ip, count }]) => ({ keyId, at, ip, count }));
    try {
      await this.#options.store.transaction((repositories) => repositories.apiKeys.recordUse(uses));
    } catch (error) {
      for (const [keyId, use] of taken) this.#restore(keyId, use);
      throw error;
    }
  }

  #restore(keyId: string, use: PendingUse): void {
    const newer = this.#pending.get(keyId);
    if (newer === undefined) this.#pending.set(keyId, use);
    else newer.count += use.count;
  }
}
