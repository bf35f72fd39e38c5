import type { AuditEventDraft, DecisionDraft } from "../domain/audit-event.ts";
import type { Clock } from "../lib/clock.ts";
import { newId } from "../lib/ids.ts";
import { TransientMap } from "../lib/transient-map.ts";

/** A call that runs longer is announced, so that nobody has to wait for its end to learn of it. */
const LONG_CALL_MS = 60_000;
const LOOK_EVERY_MS = 1_000;

interface OpenDecision {
  readonly decision: DecisionDraft;
  /** Its JSON. */
  readonly text: string;
  readonly since: number;
}

export interface OpenDecisionsOptions {
  readonly clock: Clock;
  readonly announce: (event: AuditEventDraft) => void;
}

/** The decisions without an outcome yet. Announces each `tool.call` that stays so for more than 60 s by one `tool.started`. */
export class OpenDecisions {
  readonly #options: OpenDecisionsOptions;
  /** In the order of arrival: the oldest first. */
  readonly #open = new TransientMap<string, OpenDecision>();
  /** Announced ones are kept apart, so that looking for long calls stops at the first young one. */
  readonly #long = new Map<string, OpenDecision>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: OpenDecisionsOptions) {
    this.#options = options;
    this.#timer = setInterval(() => this.#announceLong(), LOOK_EVERY_MS).unref();
  }

  get count(): number {
    return this.#open.size + this.#long.size;
  }

  list(): readonly OpenDecision[] {
    return [...this.#long.values(), ...this.#open.values()];
  }

  add(decision: DecisionDraft, text: string): void {
    this.#open.set(decision.id, { decision, text, since: this.#options.clock.now() });
  }

  /** Removes and returns it. */
  take(id: string): OpenDecision | undefined {
    const found = this.#open.get(id) ?? this.#long.get(id);
    if (!this.#open.delete(id)) this.#long.delete(id);
    return found;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #announceLong(): void {
    const now = this.#options.clock.now();
    for (const [id, open] of this.#open.entries()) {
      if (now - open.since <= LONG_CALL_MS) return;
      this.#open.delete(id);
      this.#long.set(id, open);
      if (open.decision.action === "tool.call") this.#options.announce(toStarted(open.decision, now));
    }
  }
}

function toStarted(decision: DecisionDraft, time: number): AuditEventDraft {
  const { tool } = decision.details;
  const details = { call: decision.id, ...(tool === undefined ? {} : { tool }) };
  return { ...decision, id: newId(), time, action: "tool.started", outcome: "success", details };
}
