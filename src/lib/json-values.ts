/** Whether every text in a JSON value (member names too) is well-formed Unicode: a lone surrogate has no bytes in UTF-8. */
export function isWellFormedDeep(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormedDeep);
  return Object.entries(value).every(([name, member]) => name.isWellFormed() && isWellFormedDeep(member));
}

/** Whether every number in a parsed JSON value is one: `1e999`, which JSON can write, is read as infinity and written as `null`. */
export function isFiniteDeep(value: unknown): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return Object.values(value).every(isFiniteDeep);
}
