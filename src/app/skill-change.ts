/** What a push or a pull did with one skill, or would do. */
export interface SkillChange {
  /** Its name; of one that is refused, where it lies. */
  readonly name: string;
  readonly change: "new" | "changed" | "unchanged" | "deleted" | "only_in_registry" | "left_out" | "refused";
  /** Of the version that was pushed, where it is not approved at once. */
  readonly standing?: { readonly state: string; readonly risk: string };
  /** Why it is refused or left out. */
  readonly message?: string;
}

/** The change as a line for people. */
export function toLine({ name, change, standing, message }: SkillChange, isDryRun: boolean): string {
  if (change === "refused") return `${name}: refused: ${message ?? ""}`;
  if (change === "left_out") return `${name}: left out; ${message ?? ""}`;
  if (change === "only_in_registry") return `${name}: only in the registry; --prune deletes it`;
  if (change === "deleted" && isDryRun) return `${name}: would be deleted`;
  return `${name}: ${change}${standing === undefined ? "" : `, ${standing.state} (risk ${standing.risk})`}`;
}
