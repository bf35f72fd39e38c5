import type { Ref } from "../../../domain/names.ts";
import type { Skill, SkillUsage, SkillVersion, SkillVersionSummary } from "../../../domain/skill.ts";
import { AppError } from "../../../lib/errors.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { SkillFilter, SkillRepository } from "../../skill-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText, holdsId } from "./matching.ts";
import { pageById } from "./pages.ts";
import { type Noun, notFound } from "../../../domain/not-found.ts";
import { readUsage } from "./skill-counting.ts";
import { storedSkills, toStoredSkills } from "./stored-agent.ts";
import { toSkill, toSkillRow, toSkillVersion, toSkillVersionRow, toVersionSummary } from "./stored-skill.ts";
import { assertNameFree, byRef, saveNext } from "./versioned.ts";

const NOUN: Noun = { singular: "skill", listedBy: "list_skills" };

export class SqlSkillRepository implements SkillRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Skill> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(NOUN, ref);
    return found;
  }

  async find(ref: Ref): Promise<Skill | undefined> {
    const row = await byRef(this.#context.db.selectFrom("skills").selectAll(), ref).executeTakeFirst();
    return row === undefined ? undefined : toSkill(row);
  }

  async list(filter: SkillFilter, page: PageRequest): Promise<Page<Skill>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => rows.map(toSkill) });
  }

  async count(): Promise<number> {
    const row = await this.#context.db
      .selectFrom("skills")
      .select((eb) => eb.fn.countAll<number>().as("count"))
      .executeTakeFirstOrThrow();
    return row.count;
  }

  async insert(skill: Skill): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("skills"), NOUN, skill);
    await this.#context.db.insertInto("skills").values(toSkillRow(skill)).execute();
    this.#context.touch({ kind: "skill", id: skill.id });
  }

  async save(skill: Skill): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("skills"), NOUN, skill);
    const update = this.#context.db.updateTable("skills").set(toSkillRow(skill));
    await saveNext(update, { noun: NOUN, entity: skill, find: (id) => this.find(id) });
    this.#context.touch({ kind: "skill", id: skill.id });
  }

  async delete(id: string): Promise<readonly { readonly id: string; readonly name: string }[]> {
    const { db, touch } = this.#context;
    const { numDeletedRows } = await db.deleteFrom("skills").where("id", "=", id).executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) throw notFound(NOUN, id);
    touch({ kind: "skill", id });
    return this.#removeFromAgents(id);
  }

  async getVersion(skillId: string, version: number): Promise<SkillVersion> {
    const row = await this.#context.db
      .selectFrom("skillVersions")
      .selectAll()
      .where("skillId", "=", skillId)
      .where("version", "=", version)
      .executeTakeFirst();
    if (row !== undefined) return toSkillVersion(row);
    throw new AppError("not_found", `the skill has no version ${version}; get_skill lists those that it has`, {
      details: { kind: "skill version", ref: String(version) },
    });
  }

  async versions(skillId: string, limit: number): Promise<readonly SkillVersionSummary[]> {
    const rows = await this.#context.db
      .selectFrom("skillVersions")
      .select(["skillId", "version", "digest", "state", "risk", "createdBy", "approvedBy", "createdAt"])
      .where("skillId", "=", skillId)
      .orderBy("version", "desc")
      .limit(limit)
      .execute();
    return rows.map(toVersionSummary);
  }

  async insertVersion(version: SkillVersion): Promise<void> {
    const { db, touch } = this.#context;
    const { skillId, content } = version;
    await db.insertInto("skillVersions").values(toSkillVersionRow(version)).execute();
    const ids = [...new Set(content.servers.map(({ id }) => id))];
    const rows = ids.map((serverId) => ({ skillId, version: version.version, serverId }));
    if (rows.length > 0) await db.insertInto("skillServers").values(rows).execute();
    touch({ kind: "skill", id: skillId });
  }

  async saveVersionState(version: SkillVersion): Promise<void> {
    const { db, touch } = this.#context;
    const { state, approvedBy } = toSkillVersionRow(version);
    await db
      .updateTable("skillVersions")
      .set({ state, approvedBy })
      .where("skillId", "=", version.skillId)
      .where("version", "=", version.version)
      .execute();
    touch({ kind: "skill", id: version.skillId });
  }

  async usage(skillId: string, since: number): Promise<SkillUsage> {
    return readUsage(this.#context.db, skillId, since);
  }

  async runCounts(
    skillIds: readonly string[],
  ): Promise<ReadonlyMap<string, { readonly runs: number; readonly lastUsedAt: number }>> {
    if (skillIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("skillRuns")
      .select((eb) => ["skillId", eb.fn.countAll<number>().as("runs"), eb.fn.max("time").as("lastUsedAt")])
      .where("skillId", "in", skillIds)
      .groupBy("skillId")
      .execute();
    return new Map(rows.map(({ skillId, runs, lastUsedAt }) => [skillId, { runs, lastUsedAt }]));
  }

  async #removeFromAgents(id: string): Promise<readonly { readonly id: string; readonly name: string }[]> {
    const { db, touch } = this.#context;
    const agents = await db
      .selectFrom("agents")
      .select(["id", "name", "skills"])
      .where((eb) => holdsId(eb.ref("skills"), id))
      .execute();
    for (const agent of agents) {
      const skills = storedSkills.parse(agent.skills).filter((skill) => skill.id !== id);
      await db
        .updateTable("agents")
        .set((eb) => ({ skills: toStoredSkills(skills), version: eb("version", "+", 1) }))
        .where("id", "=", agent.id)
        .execute();
      touch({ kind: "agent", id: agent.id });
    }
    return agents.map((agent) => ({ id: agent.id, name: agent.name }));
  }

  #filtered({ serverId, risk, query }: SkillFilter) {
    let skills = this.#context.db.selectFrom("skills");
    if (risk !== undefined) skills = skills.where("risk", "=", risk);
    if (serverId !== undefined) skills = skills.where((eb) => eb("id", "in", this.#needing(serverId)));
    if (query === undefined) return skills;
    return skills.where((eb) => containsText([eb.ref("name"), eb.ref("description")], query));
  }

  #needing(serverId: string) {
    return this.#context.db
      .selectFrom("skillServers")
      .innerJoin("skills", "skills.id", "skillServers.skillId")
      .select("skillServers.skillId")
      .where("skillServers.serverId", "=", serverId)
      .where((eb) =>
        eb.or([
          eb("skillServers.version", "=", eb.ref("skills.servingVersion")),
          eb("skillServers.version", "=", eb.ref("skills.latestVersion")),
        ]),
      );
  }
}
