import { describe, expect, test } from "vitest";
import type { Skill, SkillVersion } from "../../src/domain/skill.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { aServer, aSkill, aSkillVersion, aDraft, anAgent, toUnplaced } from "../harness/entities.ts";

const STRANGE = "Zoë 🦊 \u202Eabc\u200B \0 \u{F0000} \"quoted\" 'single' \\ %_";
const FIRST = { limit: 50 };

interface Subject {
  store(): Store;
  /** What listeners heard since the last question. */
  changes(): readonly Change[];
}

/** What every store promises of skills, their versions and their runs. */
export function skillConformance(subject: Subject): void {
  const write = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().transaction(work);
  const read = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().read(work);

  async function store(skill: Skill, version: Partial<SkillVersion> = {}): Promise<SkillVersion> {
    const made = aSkillVersion({ skillId: skill.id, ...version });
    await write(async ({ skills }) => {
      await skills.insert(skill);
      await skills.insertVersion(made);
    });
    return made;
  }

  describe("skills", () => {
    test("come back exactly, with their versions", async () => {
      const skill = aSkill({ description: STRANGE, risk: "low" });
      const author = { type: "key", id: newId(), name: "root" };
      const version = await store(skill, {
        content: {
          description: STRANGE,
          instructions: STRANGE,
          license: "MIT",
          metadata: { a: STRANGE },
          function: { code: STRANGE, inputSchema: { type: "object" }, timeoutMs: 7 },
          servers: [{ id: newId(), name: "github" }],
          tools: ["list_*"],
          files: [{ path: "a.md", base64: "AAE=" }],
        },
        evidence: [{ rule: "r", severity: "low", path: "SKILL.md", line: 3, excerpt: STRANGE }],
      });
      expect(await read(({ skills }) => skills.get(skill.name))).toEqual(skill);
      expect(await read(({ skills }) => skills.getVersion(skill.id, 1))).toEqual(version);
      const approved = { ...version, state: "approved" as const, approvedBy: author };
      await write(({ skills }) => skills.saveVersionState(approved));
      expect(await read(({ skills }) => skills.getVersion(skill.id, 1))).toEqual(approved);
      const { content: _content, evidence: _evidence, ...summary } = approved;
      expect(await read(({ skills }) => skills.versions(skill.id, 10))).toEqual([summary]);
      await expect(read(({ skills }) => skills.getVersion(skill.id, 2))).rejects.toMatchObject({ code: "not_found" });
    });

    test("are changed by version only, under unique names", async () => {
      const [one, two] = [aSkill(), aSkill()];
      await store(one);
      await store(two);
      const changed = { ...one, servingVersion: 1, version: 2 };
      await write(({ skills }) => skills.save(changed));
      expect(await read(({ skills }) => skills.get(one.id))).toEqual(changed);
      const conflict = { code: "conflict" };
      await expect(write(({ skills }) => skills.save(changed))).rejects.toMatchObject(conflict);
      await expect(write(({ skills }) => skills.insert(aSkill({ name: one.name })))).rejects.toMatchObject(conflict);
      const renamed = { ...two, name: one.name, version: 2 };
      await expect(write(({ skills }) => skills.save(renamed))).rejects.toMatchObject(conflict);
      await expect(write(({ skills }) => skills.save(aSkill({ version: 2 })))).rejects.toMatchObject({
        code: "not_found",
      });
    });

    test("are found by a server of the latest or serving version, also when the server is gone", async () => {
      const server = aServer();
      await write(({ servers }) => servers.insert(server));
      const skill = aSkill();
      const needs = (servers: { id: string; name: string }[]) => ({
        ...aSkillVersion().content,
        servers,
      });
      await store(skill, { content: needs([{ id: server.id, name: server.name }]) });
      const find = () => read(({ skills }) => skills.list({ serverId: server.id }, FIRST));
      expect((await find()).items.map(({ id }) => id)).toEqual([skill.id]);
      await write(({ servers }) => servers.delete(server.id));
      expect((await find()).total).toBe(1);
      await write(async ({ skills }) => {
        await skills.insertVersion(aSkillVersion({ skillId: skill.id, version: 2, content: needs([]) }));
        await skills.save({ ...skill, latestVersion: 2, servingVersion: 2, version: 2 });
      });
      expect((await find()).total).toBe(0);
    });

    test("leave the agents that were limited to them with nothing in their place", async () => {
      const skill = aSkill();
      await store(skill);
      const kept = { id: newId(), version: null };
      const agent = anAgent({ skills: [kept, { id: skill.id, version: null }] });
      const pinned = anAgent({ skills: [{ id: skill.id, version: 1 }] });
      const free = anAgent();
      await write(async ({ agents }) => {
        await agents.insert(agent);
        await agents.insert(pinned);
        await agents.insert(free);
      });
      expect(await read(({ agents }) => agents.get(pinned.id))).toEqual(pinned);
      subject.changes();
      await write(({ skills }) => skills.delete(skill.id));
      expect(await read(({ skills }) => skills.find(skill.id))).toBeUndefined();
      expect(await read(({ agents }) => agents.get(agent.id))).toEqual({ ...agent, skills: [kept], version: 2 });
      expect(await read(({ agents }) => agents.get(pinned.id))).toEqual({ ...pinned, skills: [], version: 2 });
      expect(await read(({ agents }) => agents.get(free.id))).toEqual(free);
      expect(subject.changes()).toEqual([
        { kind: "skill", id: skill.id },
        { kind: "agent", id: agent.id },
        { kind: "agent", id: pinned.id },
      ]);
      await expect(write(({ skills }) => skills.delete(skill.id))).rejects.toMatchObject({ code: "not_found" });
    });

    test("count the runs that were recorded, each once, refused ones never", async () => {
      const skill = aSkill();
      await store(skill);
      const agent = { type: "agent", id: newId(), name: STRANGE } as const;
      const run = (given: object) => ({
        action: "skill.run",
        actor: agent,
        resource: { type: "skill", id: skill.id, name: skill.name },
        ...given,
      });
      const last = await read(({ audit }) => audit.lastSeq());
      await write(async ({ audit }) => {
        const runs = [
          aDraft(run({ time: 1000, durationMs: 10 })),
          aDraft(run({ time: 5000, durationMs: 30, outcome: "error" })),
          aDraft(run({ time: 6000, outcome: "denied" })),
          aDraft(run({ time: 6000, resource: { type: "skill", id: newId(), name: "gone" } })),
        ];
        await audit.append(runs.map(toUnplaced), last + 1);
      });
      expect(await read(({ skills }) => skills.usage(skill.id, 4000))).toEqual({
        total: 2,
        last30Days: 1,
        failures: 1,
        byAgent: [{ id: agent.id, name: STRANGE, runs: 2 }],
        p50Ms: 10,
        p95Ms: 30,
        lastUsedAt: 5000,
      });
      const counts = await read(({ skills }) => skills.runCounts([skill.id]));
      expect(counts.get(skill.id)).toEqual({ runs: 2, lastUsedAt: 5000 });
      const unused = aSkill();
      await store(unused);
      expect(await read(({ skills }) => skills.usage(unused.id, 0))).toMatchObject({ total: 0, lastUsedAt: null });
    });
  });
}
