import type { AuditEvent, AuditEventDraft, DecisionDraft, Settlement, UnplacedEvent } from "./audit-event.ts";
import { toEvent } from "./audit-leaf.ts";
import { settledEvent } from "./settled-event.ts";

/** JSON escapes both, so neither is ever part of an event. */
const BETWEEN_EVENTS = "\n";
const BEFORE_SETTLEMENT = "\t";

/** The events as one text, which crosses to another thread in one piece. */
export function toEventLines(events: readonly UnplacedEvent[]): string {
  return events
    .map(({ draft, settlement }) => (settlement === undefined ? draft : draft + BEFORE_SETTLEMENT + settlement))
    .join(BETWEEN_EVENTS);
}

/** Gives the events of `toEventLines` their places, from `firstSeq` on, with their leaves. */
export function placeEvents(lines: string, firstSeq: number): AuditEvent[] {
  return lines.split(BETWEEN_EVENTS).map((line, index) => {
    const [draft = "", settlement] = line.split(BEFORE_SETTLEMENT);
    return toEvent(toDraft({ draft, settlement }), firstSeq + index);
  });
}

function toDraft({ draft, settlement }: Omit<UnplacedEvent, "id">): AuditEventDraft {
  if (settlement === undefined) {
    const event: AuditEventDraft = JSON.parse(draft);
    return event;
  }
  const decision: DecisionDraft = JSON.parse(draft);
  const settled: Settlement = JSON.parse(settlement);
  return settledEvent(decision, settled);
}
