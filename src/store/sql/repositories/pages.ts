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
