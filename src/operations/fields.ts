import { z } from "zod";
import { ROLES } from "../domain/role.ts";
import { isName } from "../domain/names.ts";
import { parseCursor, toCursor, type Page, type PageRequest } from "../lib/paging.ts";

/*
 * Fields that several operations share. Texts refuse control and invisible characters: they are shown to people and read by
 * models, and a name or a description must not hide what it says.
 */

// Cc without tab and newline, Cf (zero-width, bidi, tags), line and paragraph separators, and unassigned private-use characters.
const HIDDEN = /[\p{Cf}\p{Co}\p{Cn}\u2028\u2029\u115f\u1160\u3164\uffa0]|[^\P{Cc}\t\n]/u;

/** Text for people, of at most so many characters. */
export function text(charactersMax: number) {
  return z
    .string()
    .max(charactersMax)
    .refine(
      (value) => value.isWellFormed() && !HIDDEN.test(value),
      "holds control or invisible characters; remove them",
    );
}

export const NameField = z
  .string()
  .refine(
    isName,
    "must be 1 to 63 of `a-z`, `0-9` and `-`, start with a letter or digit, hold no `__` and not look like a UUID",
  );

/** An id or a unique name. */
export const RefField = z
  .string()
  .min(1)
  .max(254)
  .regex(/^[^\s\p{Cc}\p{Cf}]+$/u, "must be an id or a name");

export const RoleField = z.enum(ROLES);

export const ExpectedVersionField = z
  .int()
  .min(1)
  .optional()
  .describe("The version that the change is based on; another one is a conflict");

export const QueryField = text(200)
  .min(1)
  .optional()
  .describe("Part of the name or description, upper and lower case alike");

/** A field of an update that `null` sets back to what a creation without it gives. */
export function clearable<T extends z.ZodType>(field: T, initial: z.output<T>) {
  return field
    .nullable()
    .transform((given) => given ?? initial)
    .optional();
}

const LIMIT_DEFAULT = 50;
const LIMIT_MAX = 200;

/** The paging fields of every list. */
export const pageInput = {
  limit: z.int().min(1).max(LIMIT_MAX).optional().describe(`Rows in this page, ${LIMIT_DEFAULT} unless told`),
  cursor: z.string().min(1).max(500).optional().describe("`nextCursor` of the page before"),
};

/** The output of every list of `item`. */
export function pageOutput<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    total: z.int().describe("All rows that match"),
    totalIsLowerBound: z.literal(true).optional().describe("Set where there are more than `total`"),
    nextCursor: z.string().optional().describe("Cursor of the next page; absent on the last"),
  });
}

export function toPageRequest(input: { limit?: number | undefined; cursor?: string | undefined }): PageRequest {
  return {
    limit: input.limit ?? LIMIT_DEFAULT,
    after: input.cursor === undefined ? undefined : parseCursor(input.cursor),
  };
}

/** A page as it is answered, its rows shown by `show`. */
export function toPageAnswer<T, S>(page: Page<T>, show: (row: T) => S) {
  return {
    items: page.items.map(show),
    total: page.total,
    ...(page.totalIsLowerBound === true ? { totalIsLowerBound: true as const } : {}),
    ...(page.next === undefined ? {} : { nextCursor: toCursor(page.next) }),
  };
}

/** An RFC 3339 time on input, as milliseconds since the epoch. */
export const TimeField = z.iso
  .datetime({ offset: true, error: "must be an RFC 3339 time such as `2026-01-31T08:00:00Z`" })
  .transform((value) => Date.parse(value));
