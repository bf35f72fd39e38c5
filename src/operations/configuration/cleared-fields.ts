import type { Entry } from "./configuration-input.ts";

/** What `null` sets a field of an object back to. Fields that are not here cannot be cleared: their operation refuses `null`. */
const INITIAL: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ["description", null],
  ["owner", null],
  ["groups", []],
  ["cwd", null],
  ["headers", {}],
  ["args", []],
  ["env", {}],
  ["credential", { type: "none" }],
  ["allowPrivateNetwork", false],
  ["shareable", false],
  ["servers", []],
  ["skills", null],
  ["audit", null],
  ["expiresAt", null],
  // Parts of a rule, which is compared as a whole: what is left out has its default.
  ["actions", undefined],
  ["conditions", undefined],
]);

/** The entry with what the object will have in each field that it clears, to compare it with what the object has. */
export function withInitial(entry: Entry): Entry {
  const fields = Object.entries(entry).map(([field, value]) => [
    field,
    value === null && INITIAL.has(field) ? INITIAL.get(field) : value,
  ]);
  return { ...Object.fromEntries(fields), name: entry.name };
}

/** The entry without the fields that it clears: a new object has nothing in them, and a creation takes no `null`. */
export function withoutCleared(entry: Entry): Entry {
  const fields = Object.entries(entry).filter(([field, value]) => value !== null || !INITIAL.has(field));
  return { ...Object.fromEntries(fields), name: entry.name };
}
