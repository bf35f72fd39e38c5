import type { Skill, SkillRisk, SkillUsage, SkillVersion, SkillVersionSummary } from "../domain/skill.ts";
import type { Ref } from "../domain/names.ts";
import type { Page, PageRequest } from "../lib/paging.ts";

export interface SkillFilter {
  /** Skills whose latest or serving version needs this server. */
  readonly serverId?: string | undefined;
  readonly risk?: SkillRisk | undefined;
  readonly query?: string | undefined;
}

export interface SkillRepository {
  get(ref: Ref): Promise<Skill>;
  find(ref: Ref): Promise<Skill | undefined>;
  list(filter: SkillFilter, page: PageRequest): Promise<Page<Skill>>;
  count(): Promise<number>;
  insert(skill: Skill): Promise<void>;
  save(skill: Skill): Promise<void>;
  /**
   * With its versions, and its place in the agents' lists of skills; its runs go too, the audit log keeps them. Gives the agents
   * whose lists lost it.
   */
  delete(id: string): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Throws `not_found` for a version that was never made. */
  getVersion(skillId: string, version: number): Promise<SkillVersion>;
  /** The newest first, at most so many. */
  versions(skillId: string, limit: number): Promise<readonly SkillVersionSummary[]>;
  insertVersion(version: SkillVersion): Promise<void>;
  /** Stores `state` and `approvedBy`: nothing else of a version changes. */
  saveVersionState(version: SkillVersion): Promise<void>;
  /** From the audited runs; of skills that never ran, too. */
  usage(skillId: string, since: number): Promise<SkillUsage>;
  /** Total runs and the last one, by skill. */
  runCounts(
    skillIds: readonly string[],
  ): Promise<ReadonlyMap<string, { readonly runs: number; readonly lastUsedAt: number }>>;
}
