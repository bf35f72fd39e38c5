import type { AuditEventDraft } from "../domain/audit-event.ts";
import { toRfc3339, type Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";

const INTERVAL_MS = 60_000;

/** Addresses and kinds told apart at a time. A flood from more is counted in one place per kind, so it cannot fill the log. */
const DISTINCT_MAX = 200;

/** Examples of what was presented; more say nothing new about one address. */
const HINTS_MAX = 5;

export interface AuthFailure {
  /** As far as it is known; never taken from a header that anyone can write. */
  readonly ip?: string | undefined;
  /** What was wrong, from a small closed set of the caller's: `unknown_key`, `revoked_key`, `expired_key`, … */
  readonly kind: string;
  /** Prefix and last characters of what was presented. MUST NOT be enough to guess it. */
  readonly hint?: string | undefined;
}

export interface AuthFailuresOptions {
  readonly clock: Clock;
  /** Takes an event without waiting: the log's `post`. */
  readonly emit: (event: AuditEventDraft) => void;
  readonly intervalMs?: number | undefined;
}

interface Tally {
  readonly ip: string | undefined;
  readonly kind: string;
  readonly hints: Set<string>;
  count: number;
  firstAt: number;
  lastAt: number;
}

/**
 * Turns failed authentications into `auth.failure` events. The first of an address and kind is told at once, what follows once
 * per interval with its count, so that neither the log nor the caller feels a flood.
 */
export class AuthFailureAggregator {
  readonly #options: AuthFailuresOptions;
  readonly #tallies = new Map<string, Tally>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: AuthFailuresOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#endInterval(), options.intervalMs ?? INTERVAL_MS).unref();
  }

  /** Counts one failure. Never waits. */
  note({ ip, kind, hint }: AuthFailure): void {
    const now = this.#options.clock.now();
    const known = this.#tallies.get(keyOf(kind, ip));
    const tally = known ?? this.#newTally(kind, ip);
    if (tally.count === 0) tally.firstAt = now;
    tally.lastAt = now;
    tally.count += 1;
    if (hint !== undefined && tally.hints.size < HINTS_MAX) tally.hints.add(hint);
    if (known === undefined && tally.ip !== undefined) this.#tell(tally);
  }

  /** Tells what was counted and stops. */
  close(): void {
    clearInterval(this.#timer);
    this.#endInterval();
  }

  #newTally(kind: string, ip: string | undefined): Tally {
    // Beyond the bound only the kind is kept; kinds are few.
    const keptIp = this.#tallies.size < DISTINCT_MAX ? ip : undefined;
    const key = keyOf(kind, keptIp);
    const tally = this.#tallies.get(key) ?? { ip: keptIp, kind, hints: new Set(), count: 0, firstAt: 0, lastAt: 0 };
    this.#tallies.set(key, tally);
    return tally;
  }

  #endInterval(): void {
    for (const [key, tally] of this.#tallies) {
      if (tally.count === 0) this.#tallies.delete(key);
      else this.#tell(tally);
    }
  }

  #tell(tally: Tally): void {
    this.#options.emit(toEvent(tally));
    tally.count = 0;
    tally.hints.clear();
  }
}

function keyOf(kind: string, ip: string | undefined): string {
  return `${kind} ${ip ?? ""}`;
}

function toEvent({ ip, kind, hints, count, firstAt, lastAt }: Tally): AuditEventDraft {
  return {
    id: newId(),
    time: lastAt,
    actor: { type: "anonymous", id: "anonymous", name: "anonymous", ip },
    action: "auth.failure",
    resource: { type: "authentication", id: kind, name: kind },
    outcome: "denied",
    reason: kind,
    correlationId: newId(),
    details: { count, firstAt: toRfc3339(firstAt), lastAt: toRfc3339(lastAt), hints: [...hints] },
  };
}
