import type { HeldDecision, Repositories, Store } from "../store/ports.ts";
import {
  toFinished,
  type DecisionJournal,
  type FinishedEvent,
  type JournalEntry,
  type Recovered,
} from "./decision-journal.ts";

const PAGE = 200;

/** Rows of one statement: their parameters stay below what either database takes. */
const HOLD_MAX = 1_000;

/**
 * Decisions in a table of the database: dearer than a file (docs/decisions/decision-journal.md), but not lost with the node
 * that made them. An outcome is durable only with its event, so a crash within the sequencer's 250 ms makes it
 * `unknown_after_crash`.
 */
export function createTableJournal(store: Store): DecisionJournal {
  return new TableJournal(store);
}

class TableJournal implements DecisionJournal {
  readonly isImmediate = false;
  readonly #store: Store;
  #lastOrdinal = 0;

  constructor(store: Store) {
    this.#store = store;
  }

  async recover(): Promise<Recovered> {
    const held = await this.#store.read(allHeld);
    const finished = held.flatMap(({ outcome, ...rest }) => {
      if (outcome === undefined) return [];
      const draft = JSON.stringify({ ...rest, outcome });
      return [{ ordinal: ++this.#lastOrdinal, id: rest.id, draft, size: draft.length }];
    });
    return { finished, open: held.filter(({ outcome }) => outcome === undefined) };
  }

  async commit(entries: readonly JournalEntry[]): Promise<readonly FinishedEvent[]> {
    const held = entries.flatMap(toHeld);
    // Outcomes alone touch no row: whether the database can be reached, the caller would not learn.
    if (held.length === 0) await this.#store.ping();
    else await this.#store.transaction((repositories) => hold(repositories, held), "next");
    return entries.flatMap((entry) => {
      if (entry.kind === "decided") return [];
      return [toFinished(entry, ++this.#lastOrdinal)];
    });
  }

  async claim({ decisions }: Repositories, events: readonly FinishedEvent[]): Promise<readonly FinishedEvent[]> {
    const held = new Set(await decisions.release(events.map(({ id }) => id)));
    return events.filter(({ id }) => held.has(id));
  }

  release(): void {}

  async close(): Promise<void> {}
}

async function allHeld({ decisions }: Repositories): Promise<readonly HeldDecision[]> {
  const all: HeldDecision[] = [];
  for (;;) {
    const page = await decisions.held({ limit: PAGE, after: all.at(-1)?.id });
    all.push(...page);
    if (page.length < PAGE) return all;
  }
}

async function hold({ decisions }: Repositories, held: readonly HeldDecision[]): Promise<void> {
  for (let first = 0; first < held.length; first += HOLD_MAX) await decisions.hold(held.slice(first, first + HOLD_MAX));
}

function toHeld(entry: JournalEntry): readonly HeldDecision[] {
  if (entry.kind === "settled") return [];
  return [entry.kind === "decided" ? entry.decision : entry.event];
}
