import { AppError } from "./errors.ts";

/** What a list is asked for: at most `limit` rows behind the row that `after` names. */
export interface PageRequest {
  readonly limit: number;
  /** Key of the last row of the page before; undefined for the first page. */
  readonly after?: string | undefined;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Exact up to `TOTAL_EXACT_MAX`. */
  readonly total: number;
  readonly totalIsLowerBound?: true | undefined;
  /** Key of the last row, if there are more. */
  readonly next?: string | undefined;
}

/** Counting stops here, so that no list has to read a whole large table. */
export const TOTAL_EXACT_MAX = 10_000;

/** Hides the key, so that clients do not build cursors themselves. */
export function toCursor(key: string): string {
  return Buffer.from(`k:${key}`).toString("base64url");
}

/** Throws `invalid_input` for anything that `toCursor` did not make. */
export function parseCursor(cursor: string): string {
  const text = Buffer.from(cursor, "base64url").toString("utf8");
  if (text.startsWith("k:") && toCursor(text.slice(2)) === cursor) return text.slice(2);
  throw foreignCursor();
}

/** For a cursor of another list, or of none. */
export function foreignCursor(): AppError {
  return new AppError("invalid_input", "`cursor` is not one that this list gave; start again without it", {
    details: { field: "cursor" },
  });
}
