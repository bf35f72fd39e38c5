import { sql } from "kysely";
import type { AuditEvent, AuditEventDraft, UnplacedEvent } from "../../../domain/audit-event.ts";
import { toEventLines } from "../../../domain/place-event.ts";
import { assert } from "../../../lib/assert.ts";
import { foreignCursor, type Page, type PageRequest } from "../../../lib/paging.ts";
import type { AuditFilter, AuditGroup, AuditRepository, RecordedToolCall } from "../../ports.ts";
import { filteredEvents } from "./audit-filter.ts";
import { groupEvents } from "./audit-groups.ts";
import type { RepositoryContext } from "./context.ts";
import { countPolicies } from "./policy-counting.ts";
import { countUpTo, toPage } from "./pages.ts";
import { toRecordedCall } from "./recorded-call.ts";
import { countSkillRuns } from "./skill-counting.ts";
import { parseDraft, toAuditEvent } from "./stored-audit-event.ts";

/** In one query. */
const LOOKED_UP_MAX = 500;

/** In the JSON of what `#counted` finds; most events hold none of it, and looking is cheaper than asking the database. */
const COUNTED = ['"policies":[{"', '"action":"skill.run"', '"alsoMatched":[{"'];

export class SqlAuditRepository implements AuditRepository {
  readonly #context: RepositoryContext;
  /** Place in the staging table of each draft that this transaction took, by id. */
  readonly #taken = new Map<string, number>();

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async stage(draft: AuditEventDraft): Promise<void> {
    await this.#context.db
      .insertInto("auditStaging")
      .values({ draft: JSON.stringify(draft) })
      .execute();
    this.#context.touch({ kind: "auditEvent", id: draft.id });
  }

  async takeStaged(limit: number): Promise<readonly UnplacedEvent[]> {
    const rows = await this.#context.db
      .selectFrom("auditStaging")
      .selectAll()
      .orderBy("position")
      .limit(limit)
      .execute();
    return rows.map(({ draft, position }) => {
      const { id } = parseDraft(draft);
      this.#taken.set(id, position);
      return { id, draft };
    });
  }

  async append(events: readonly UnplacedEvent[], firstSeq: number): Promise<void> {
    if (events.length === 0) return;
    const { db, placeEvents } = this.#context;
    const lines = toEventLines(events);
    await placeEvents(db, lines, firstSeq);
    if (COUNTED.some((part) => lines.includes(part))) {
      const counted = await this.#counted(firstSeq);
      await countPolicies(db, counted);
      await countSkillRuns(db, counted);
    }
    const positions = events.flatMap((event) => this.#taken.get(event.id) ?? []);
    if (positions.length === 0) return;
    const last = Math.max(...positions);
    for (const event of events) this.#taken.delete(event.id);
    const isGap = [...this.#taken.values()].some((position) => position < last);
    assert(!isGap, "staged events are recorded oldest first, none left out");
    await this.#context.db.deleteFrom("auditStaging").where("position", "<=", last).execute();
  }

  /** The events from this place on that say something about a policy or a skill: few, where few policies match. */
  async #counted(firstSeq: number): Promise<readonly AuditEvent[]> {
    const rows = await this.#context.db
      .selectFrom("auditEvents")
      .selectAll()
      .where("seq", ">=", firstSeq)
      .where((eb) =>
        eb.or([
          eb("policies", "is not", null),
          eb("action", "=", "skill.run"),
          eb("details", "like", '%"alsoMatched"%'),
        ]),
      )
      .execute();
    return rows.map(toAuditEvent);
  }

  async recordedOf(decisions: readonly Pick<AuditEventDraft, "id" | "time">[]): Promise<readonly string[]> {
    const found: string[] = [];
    for (let first = 0; first < decisions.length; first += LOOKED_UP_MAX) {
      const some = decisions.slice(first, first + LOOKED_UP_MAX);
      // An event has its decision's time: ids have no index.
      const rows = await this.#context.db
        .selectFrom("auditEvents")
        .select("id")
        .where("time", "in", [...new Set(some.map(({ time }) => time))])
        .where(
          "id",
          "in",
          some.map(({ id }) => id),
        )
        .execute();
      found.push(...rows.map(({ id }) => id));
    }
    return found;
  }

  async lastSeq(): Promise<number> {
    const row = await this.#context.db
      .selectFrom("auditEvents")
      .select(sql<number>`coalesce(max(seq), 0)`.as("seq"))
      .executeTakeFirstOrThrow();
    return row.seq;
  }

  async list(filter: AuditFilter, page: PageRequest & { readonly order: "asc" | "desc" }): Promise<Page<AuditEvent>> {
    const { db } = this.#context;
    let query = filteredEvents(db, filter).selectAll();
    if (page.after !== undefined) query = query.where("seq", page.order === "asc" ? ">" : "<", toSeq(page.after));
    const rows = await query
      .orderBy("seq", page.order)
      .limit(page.limit + 1)
      .execute();
    return toPage(page, {
      items: rows.map(toAuditEvent),
      count: await countUpTo(db, filteredEvents(db, filter)),
      keyOf: (event) => String(event.seq),
    });
  }

  async toolCalls({ from, limit, after }: Parameters<AuditRepository["toolCalls"]>[0]): Promise<RecordedToolCall[]> {
    let calls = this.#context.db
      .selectFrom("auditEvents")
      .select(["seq", "time", "actorId", "actorName", "actorContext", "resourceName", "reason", "details"])
      .where("action", "=", "tool.call")
      .where("time", ">=", from);
    if (after !== undefined) {
      const { time, seq } = after;
      // Twice the same bound on the time: the first is what an index can use.
      calls = calls
        .where("time", "<=", time)
        .where((eb) => eb.or([eb("time", "<", time), eb.and([eb("time", "=", time), eb("seq", "<", seq)])]));
    }
    const rows = await calls.orderBy("time", "desc").orderBy("seq", "desc").limit(limit).execute();
    return rows.map(toRecordedCall);
  }

  group(filter: AuditFilter, by: "actor" | "action" | "resource", page: PageRequest): Promise<Page<AuditGroup>> {
    return groupEvents(this.#context.db, { filter, by, page });
  }
}

function toSeq(key: string): number {
  const seq = Number(key);
  if (Number.isSafeInteger(seq)) return seq;
  throw foreignCursor();
}
