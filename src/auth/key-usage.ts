import type { KeyUse } from "../domain/key-use.ts";
import type { Store } from "../store/ports.ts";

const INTERVAL_MS = 60_000;
// More distinct keys than this in one minute is no use to remember one by one.
const PENDING_MAX = 10_000;

/** Keys of one transaction: agents' decisions take turns with it, and on PostgreSQL each key is a round trip. */
const WRITTEN_MAX = 50;

/** Of one key in one minute; who changes addresses faster is seen to. */
const IPS_MAX = 20;

interface PendingUse {
  count: number;
  last: KeyUse["last"];
  readonly ips: Set<string>;
  denied: KeyUse["denied"];
}

export interface KeyUsageOptions {
  readonly store: Store;
  /** Told of failed writes; the uses stay pending and are written with the next. */
  readonly onProblem: (error: unknown) => void;
  readonly intervalMs?: number | undefined;
}

/** Counts uses and denials of keys in memory and writes each key at most once a minute: a use costs no disk. */
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
    const pending = this.#pendingOf(keyId);
    if (pending === undefined) return;
    if (ip !== undefined && pending.ips.size < IPS_MAX) pending.ips.add(ip);
    pending.last = { at, ip: ip ?? null };
    pending.count += 1;
  }

  /** Counts one denial of what the key asked for. Never waits. */
  noteDenied(keyId: string, at: number): void {
    const pending = this.#pendingOf(keyId);
    if (pending !== undefined) pending.denied = { count: pending.denied.count + 1, at };
  }

  /** What is counted and not yet written. */
  pending(keyId: string): KeyUse | undefined {
    const pending = this.#pending.get(keyId);
    return pending === undefined ? undefined : toKeyUse(keyId, pending);
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
    const taken = [...this.#pending];
    this.#pending.clear();
    while (taken.length > 0) {
      const uses = taken.slice(0, WRITTEN_MAX).map(([keyId, pending]) => toKeyUse(keyId, pending));
      try {
        await this.#options.store.transaction((repositories) => repositories.apiKeys.recordUse(uses));
      } catch (error) {
        for (const [keyId, use] of taken) this.#restore(keyId, use);
        throw error;
      }
      taken.splice(0, WRITTEN_MAX);
    }
  }

  #restore(keyId: string, use: PendingUse): void {
    const newer = this.#pending.get(keyId);
    if (newer === undefined) return void this.#pending.set(keyId, use);
    newer.count += use.count;
    newer.last ??= use.last;
    newer.denied = { count: newer.denied.count + use.denied.count, at: Math.max(newer.denied.at, use.denied.at) };
    for (const ip of use.ips) if (newer.ips.size < IPS_MAX) newer.ips.add(ip);
  }

  #pendingOf(keyId: string): PendingUse | undefined {
    const known = this.#pending.get(keyId);
    if (known !== undefined || this.#pending.size >= PENDING_MAX) return known;
    const pending: PendingUse = { count: 0, last: null, ips: new Set(), denied: { count: 0, at: 0 } };
    this.#pending.set(keyId, pending);
    return pending;
  }
}

function toKeyUse(keyId: string, { count, last, ips, denied }: PendingUse): KeyUse {
  return { keyId, count, last, ips: [...ips], denied };
}
