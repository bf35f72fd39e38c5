import { sql, type Transaction } from "kysely";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { AuditFilter, AuditGroup } from "../../ports.ts";
import type { Database } from "../schema.ts";
import { filteredEvents } from "./audit-filter.ts";
import { countUpTo, toPage } from "./pages.ts";

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
    const after = parsePlace(page.after);
    query = query.where((eb) =>
      eb.or([eb(key, ">", after.key), eb.and([eb(key, "=", after.key), eb(type, ">", after.type)])]),
    );
  }
  const rows = await query
    .orderBy(key)
    .orderBy(type)
    .limit(page.limit + 1)
    .execute();
  const names = await namesAt(
    db,
    name,
    rows.map(({ lastSeq }) => lastSeq),
  );
  return toPage(page, {
    items: rows.map(({ lastSeq, ...group }) => ({ ...group, name: names.get(lastSeq) ?? "" })),
    count: await countUpTo(db, groups),
    keyOf: toPlace,
  });
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
  return new Map(named.map(({ seq, name }) => [seq, name]));
}

function outcomes(outcome: string) {
  return sql<number>`sum(case when outcome = ${outcome} then 1 else 0 end)`;
}

/** No type holds a space. */
function toPlace({ key, type }: AuditGroup): string {
  return `${type} ${key}`;
}

function parsePlace(place: string): Pick<AuditGroup, "key" | "type"> {
  const at = place.indexOf(" ");
  return { type: place.slice(0, Math.max(at, 0)), key: place.slice(at + 1) };
}
