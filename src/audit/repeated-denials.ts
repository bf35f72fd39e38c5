import type { Actor, AuditEventDraft } from "../domain/audit-event.ts";
import { toRfc3339 } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";

const INTERVAL_MS = 60_000;
/** Callers and kinds told apart at a time. What comes beyond is counted for all callers together, by action and reason, which are few. */
const DISTINCT_MAX = 1000;
const MANY: Actor = { type: "anonymous", id: "many", name: "many callers" };

export interface RepeatedDenialsOptions {
  /** Takes an event without waiting: the log's `post`. */
  readonly emit: (event: AuditEventDraft) => void;
  readonly intervalMs?: number | undefined;
}

interface Tally {
  /** The last one that was counted. */
  draft: AuditEventDraft;
  count: number;
  firstAt: number;
  /** The first one's own event; what repeats it stands and falls with it. */
  written: Promise<void>;
}

/**
 * Keeps a flood of denied calls from filling the log: the first of a caller, action, resource and reason is recorded by itself, what
 * follows once per interval with its count.
 */
export class RepeatedDenials {
  readonly #options: RepeatedDenialsOptions;
  readonly #tallies = new Map<string, Tally>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: RepeatedDenialsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#endInterval(), options.intervalMs ?? INTERVAL_MS).unref();
  }

  /** Counts a denial, or resolves when `write` has recorded it; a write that fails is tried again with the next. */
  async record(draft: AuditEventDraft, write: (draft: AuditEventDraft) => Promise<void>): Promise<void> {
    const key = this.#keyOf(draft);
    const known = this.#tallies.get(key);
    if (known !== undefined) {
      count(known, draft);
      return known.written;
    }
    const written = write(draft);
    this.#tallies.set(key, { draft, count: 0, firstAt: draft.time, written });
    try {
      await written;
    } catch (error) {
      this.#tallies.delete(key);
      throw error;
    }
  }

  /** Tells what was counted and stops. */
  close(): void {
    clearInterval(this.#timer);
    this.#endInterval();
  }

  #keyOf({ actor, action, resource, reason }: AuditEventDraft): string {
    const key = JSON.stringify([actor.id, action, resource.id, reason]);
    const isKept = this.#tallies.has(key) || this.#tallies.size < DISTINCT_MAX;
    return isKept ? key : JSON.stringify([MANY.id, action, reason]);
  }

  #endInterval(): void {
    for (const [key, tally] of this.#tallies) {
      if (tally.count === 0) this.#tallies.delete(key);
      else this.#options.emit(toEvent(tally));
      tally.count = 0;
    }
  }
}

function count(tally: Tally, draft: AuditEventDraft): void {
  if (tally.count === 0) tally.firstAt = draft.time;
  const isSame = draft.actor.id === tally.draft.actor.id;
  tally.draft = isSame ? draft : { ...draft, actor: MANY };
  tally.count += 1;
}

function toEvent({ draft, count: counted, firstAt }: Tally): AuditEventDraft {
  const facts = { count: counted, firstAt: toRfc3339(firstAt), lastAt: toRfc3339(draft.time) };
  return { ...draft, id: newId(), correlationId: newId(), details: { ...draft.details, ...facts } };
}
