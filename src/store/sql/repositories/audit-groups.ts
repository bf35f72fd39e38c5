import { type SelectQueryBuilder, sql, type Transaction } from "kysely";
import { foreignCursor, type Page, type PageRequest } from "../../../lib/paging.ts";
import type { AuditFilter, AuditGroup } from "../../ports.ts";
import type { Database } from "../schema.ts";
import { filteredEvents } from "./audit-filter.ts";
import { countUpTo, toPage } from "./pages.ts";
import { fromStoredText } from "./stored-text.ts";

/** Begins the key of a group, which is the place of its last event: what it is grouped by may be longer than a cursor. */
const PLACE = "group of ";

/** A tool and a prompt of one name have one id: the kind tells them apart. */
const COLUMNS = {
  actor: { key: "actorId", type: "actorType", name: "actorName" },
  action: { key: "action", type: "action", name: "action" },
  resource: { key: "resourceId", type: "resourceType", name: "resourceName" },
} as const;

export interface Grouping {
  readonly filter: AuditFilter;
  readonly by: keyof typeof COLUMNS;
  readonly page: PageRequest;
}

/** Counts of events by whom, by what or on what, each under the name that it had last. */
export async function groupEvents(
  db: Transaction<Database>,
  { filter, by, page }: Grouping,
): Promise<Page<AuditGroup>> {
  const { key, type, name } = COLUMNS[by];
  const groups = filteredEvents(db, filter).groupBy([key, type]);
  let query = groups.select((eb) => [
    eb.ref(key).as("key"),
    eb.ref(type).as("type"),
    eb.fn.max<number>("seq").as("lastSeq"),
    eb.fn.countAll<number>().as("events"),
    outcomes("success").as("allowed"),
    outcomes("denied").as("denied"),
    outcomes("error").as("errors"),
    eb.fn.min<number>("time").as("firstAt"),
    eb.fn.max<number>("time").as("lastAt"),
  ]);
  if (page.after !== undefined) {
    const after = await placeOf(page.after, filteredEvents(db, filter).select([`${key} as key`, `${type} as type`]));
    query = query.where((eb) =>
      eb.or([eb(key, ">", after.key), eb.and([eb(key, "=", after.key), eb(type, ">", after.type)])]),
    );
  }
  const rows = await query
    .orderBy(key)
    .orderBy(type)
    .limit(page.limit + 1)
    .execute();
  const found = toPage(page, {
    items: rows,
    count: await countUpTo(db, groups),
    keyOf: ({ lastSeq }) => `${PLACE}${lastSeq}`,
  });
  const lastSeqs = found.items.map(({ lastSeq }) => lastSeq);
  const names = await namesAt(db, name, lastSeqs);
  const items = found.items.map(({ lastSeq, ...group }) => ({
    ...group,
    key: fromStoredText(group.key),
    name: names.get(lastSeq) ?? "",
  }));
  return { ...found, items };
}

async function namesAt(
  db: Transaction<Database>,
  column: (typeof COLUMNS)[keyof typeof COLUMNS]["name"],
  seqs: readonly number[],
): Promise<ReadonlyMap<number, string>> {
  if (seqs.length === 0) return new Map();
  const named = await db
    .selectFrom("auditEvents")
    .select(["seq", `${column} as name`])
    .where("seq", "in", seqs)
    .execute();
  return new Map(named.map(({ seq, name }) => [seq, fromStoredText(name)]));
}

function outcomes(outcome: string) {
  return sql<number>`sum(case when outcome = ${outcome} then 1 else 0 end)`;
}

interface Place {
  readonly key: string;
  readonly type: string;
}

/** The group that a cursor names, by one of the events that the caller may see. */
async function placeOf(after: string, events: SelectQueryBuilder<Database, "auditEvents", Place>): Promise<Place> {
  const seq = after.startsWith(PLACE) ? Number(after.slice(PLACE.length)) : NaN;
  const place = Number.isSafeInteger(seq) ? await events.where("seq", "=", seq).executeTakeFirst() : undefined;
  if (place === undefined) throw foreignCursor();
  return place;
}
