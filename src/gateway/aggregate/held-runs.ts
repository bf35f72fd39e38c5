import type { Journal } from "./ports.ts";

/** Paused runs of one agent: one that asks for much pushes out nobody else's. */
const RUNS_PER_AGENT_MAX = 16;
const RUNS_MAX = 200;
/** Results of tools are kept in memory until their run goes on. */
const BYTES_MAX = 64 * 1024 * 1024;

interface HeldRun {
  readonly agentId: string;
  readonly journal: Journal;
  readonly bytes: number;
  readonly expiresAt: number;
}

/** The calls of runs that wait for an approval, so that going on repeats none. In memory: a restart forgets them. */
export class HeldRuns {
  readonly #runs = new Map<string, HeldRun>();
  #bytes = 0;

  /** A run, once: two that go on at a time must not both answer from its journal. */
  take(key: string, nowMs: number): HeldRun | undefined {
    this.#dropExpired(nowMs);
    const run = this.#runs.get(key);
    this.#drop(key);
    return run;
  }

  /** Takes back one that did not go on, for the time that it has left, unless one that was kept meanwhile has made no less. */
  putBack(key: string, run: HeldRun): void {
    const kept = this.#runs.get(key);
    if (kept !== undefined && kept.journal.length >= run.journal.length) return;
    this.#drop(key);
    this.#add(key, run);
  }

  /** Keeps a journal for `ttlMs`; the oldest one of the agent goes where it has too many, then the oldest of all. */
  keep(
    key: string,
    { agentId, journal, nowMs, ttlMs }: { agentId: string; journal: Journal; nowMs: number; ttlMs: number },
  ): void {
    this.#dropExpired(nowMs);
    this.#drop(key);
    this.#add(key, { agentId, journal, bytes: sizeOf(journal), expiresAt: nowMs + ttlMs });
  }

  #add(key: string, run: HeldRun): void {
    const own = [...this.#runs].filter(([, { agentId }]) => agentId === run.agentId);
    for (const [oldest] of own.slice(0, Math.max(0, own.length - RUNS_PER_AGENT_MAX + 1))) this.#drop(oldest);
    this.#runs.set(key, run);
    this.#bytes += run.bytes;
    for (const oldest of this.#runs.keys()) {
      if (this.#runs.size <= RUNS_MAX && this.#bytes <= BYTES_MAX) break;
      this.#drop(oldest);
    }
  }

  #dropExpired(nowMs: number): void {
    for (const [key, { expiresAt }] of this.#runs) if (expiresAt <= nowMs) this.#drop(key);
  }

  #drop(key: string): void {
    this.#bytes -= this.#runs.get(key)?.bytes ?? 0;
    this.#runs.delete(key);
  }
}

function sizeOf(journal: Journal): number {
  return journal.reduce((sum, { reply }) => sum + (reply.ok ? reply.json.length : reply.error.message.length), 0);
}
