/** What a push or a pull did with one skill, or would do. */
export interface SkillChange {
  /** Its name; of one that is refused, where it lies. */
  readonly name: string;
  readonly change: "new" | "changed" | "unchanged" | "deleted" | "only_in_registry" | "left_out" | "refused";
  /** Of the version that was pushed, where it is not approved at once. */
  readonly standing?: { readonly state: string; readonly risk: string };
  /** Why it is refused or left out. */
  readonly message?: string;
  /** Files of its folder that the registry's version does not have, which a pull leaves. */
  readonly kept?: readonly string[];
  /** Such files that a pull removed, or would. */
  readonly removed?: readonly string[];
}

/** More are counted only; JSON has them all. */
const FILES_SHOWN = 5;

/** The change as a line for people. */
export function toLine(skill: SkillChange, isDryRun: boolean): string {
  const { name, change, standing, message } = skill;
  if (change === "refused") return `${name}: refused: ${message ?? ""}`;
  if (change === "left_out") return `${name}: left out; ${message ?? ""}`;
  if (change === "only_in_registry") return `${name}: only in the registry; --prune deletes it`;
  if (change === "deleted" && isDryRun) return `${name}: would be deleted`;
  const state = standing === undefined ? "" : `, ${standing.state} (risk ${standing.risk})`;
  return `${name}: ${change}${state}${toFiles(skill, isDryRun)}`;
}

function toFiles({ kept, removed }: SkillChange, isDryRun: boolean): string {
  if (kept !== undefined)
    return `; not in the registry: ${toList(kept)}; --prune removes ${kept.length === 1 ? "it" : "them"}`;
  if (removed === undefined) return "";
  return `; ${isDryRun ? "would be removed" : "removed"}: ${toList(removed)}`;
}

function toList(paths: readonly string[]): string {
  const more = paths.length - FILES_SHOWN;
  return `${paths.slice(0, FILES_SHOWN).join(", ")}${more > 0 ? ` and ${more} more` : ""}`;
}
