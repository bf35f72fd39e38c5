/** Whether every text in a JSON value (member names too) is well-formed Unicode: a lone surrogate has no bytes in UTF-8. */
export function isWellFormedDeep(value: unknown): boolean {
  if (typeof value === "string") return value.isWellFormed();
  if (typeof value !== "object" || value === null) return true;
  if (Array.isArray(value)) return value.every(isWellFormedDeep);
  return Object.entries(value).every(([name, member]) => name.isWellFormed() && isWellFormedDeep(member));
}
