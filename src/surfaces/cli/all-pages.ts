import { AppError } from "../../lib/errors.ts";

/** Rows that are asked for at a time: the most that a list gives. */
export const PAGE_ROWS = 200;

/** 200 000 rows: more than an installation is made for. */
const PAGES_MAX = 1_000;

interface ListPage {
  readonly nextCursor?: string | undefined;
}

/**
 * The pages of a list, one after another. Throws `unavailable` where they do not end: what answers need not be a Runlayer server.
 * @param read gives the page that the cursor names, the first one without
 */
export async function* allPages<Page extends ListPage>(
  read: (cursor: string | undefined) => Promise<Page>,
): AsyncGenerator<Page, void, undefined> {
  let cursor: string | undefined;
  for (let pages = 0; pages < PAGES_MAX; pages += 1) {
    const page = await read(cursor);
    yield page;
    cursor = page.nextCursor;
    if (cursor === undefined) return;
  }
  const rows = PAGES_MAX * PAGE_ROWS;
  throw new AppError(
    "unavailable",
    `the server lists more than ${rows} rows, page after page; see what answers at RUNLAYER_URL`,
  );
}
