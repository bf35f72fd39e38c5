import { type SelectQueryBuilder, type Transaction, sql } from "kysely";
import { type Page, type PageRequest, TOTAL_EXACT_MAX } from "../../../lib/paging.ts";
import type { Database } from "../schema.ts";

/** Counts the rows of a query, but no further than one past what a total says exactly. */
export async function countUpTo<Tables extends keyof Database>(
  db: Transaction<Database>,
  query: SelectQueryBuilder<Database, Tables, object>,
): Promise<number> {
  const some = query.select(sql<number>`1`.as("one")).limit(TOTAL_EXACT_MAX + 1);
  const row = await db
    .selectFrom(some.as("some"))
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  return row.count;
}

interface PageParts<Item> {
  /** One more than the limit, if there are so many. */
  readonly items: readonly Item[];
  readonly count: number;
  readonly keyOf: (item: Item) => string;
}

export function toPage<Item>({ limit }: PageRequest, { items, count, keyOf }: PageParts<Item>): Page<Item> {
  const shown = items.slice(0, limit);
  const last = shown.at(-1);
  return {
    items: shown,
    total: Math.min(count, TOTAL_EXACT_MAX),
    ...(count > TOTAL_EXACT_MAX ? { totalIsLowerBound: true } : {}),
    ...(items.length > limit && last !== undefined ? { next: keyOf(last) } : {}),
  };
}

interface PagedRows<Tables extends keyof Database, Row, Item> {
  readonly db: Transaction<Database>;
  /** All rows that a list shows, of one table. */
  readonly query: SelectQueryBuilder<Database, Tables, Row>;
  readonly toItems: (rows: readonly Row[]) => readonly Item[] | Promise<readonly Item[]>;
}

/** One page in the order of the rows' ids. */
export async function pageById<Tables extends keyof Database, Row, Item extends { readonly id: string }>(
  page: PageRequest,
  { db, query, toItems }: PagedRows<Tables, Row, Item>,
): Promise<Page<Item>> {
  const id = sql.ref<string>("id");
  const rest = page.after === undefined ? query : query.where(id, ">", page.after);
  const rows = await rest
    .orderBy(id)
    .limit(page.limit + 1)
    .execute();
  return toPage(page, {
    items: await toItems(rows),
    count: await countUpTo(db, query.clearSelect()),
    keyOf: (item) => item.id,
  });
}
