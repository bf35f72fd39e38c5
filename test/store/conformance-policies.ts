import { describe, expect, test } from "vitest";
import type { AuditEventDraft } from "../../src/domain/audit-event.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { aDraft, aPolicy, anAgent, toUnplaced } from "../harness/entities.ts";

interface Subject {
  store(): Store;
  /** What listeners heard since the last question. */
  changes(): readonly Change[];
}

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 5, 1, 12);

/** What every store promises of policies and their counts. */
export function policyConformance(subject: Subject): void {
  const write = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().transaction(work);
  const read = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().read(work);

  describe("policies", () => {
    test("come back exactly, structured and as Cedar", async () => {
      const structured = aPolicy({
        description: "Zoë 🦊",
        rule: {
          principals: { agents: [newId()], except: { roles: ["admin"] } },
          resources: { servers: [newId()], tools: ["a*"], except: { groups: [newId()] } },
          actions: ["call_tool"],
          conditions: [{ field: "args.a", operator: "in", value: [1, "x", null] }],
        },
        audit: "none",
        expiresAt: 17,
      });
      const cedar = aPolicy({ rule: null, effect: "require_approval", mode: "monitor", cedar: "// \0\nforbid" });
      await write(async ({ policies }) => {
        await policies.insert(structured);
        await policies.insert(cedar);
      });
      expect(await read(({ policies }) => policies.get(structured.name))).toEqual(structured);
      expect(await read(({ policies }) => policies.find(cedar.id))).toEqual(cedar);
      expect(subject.changes()).toContainEqual({ kind: "policy", id: cedar.id });
    });

    test("are changed by version only, keep unique names, and go", async () => {
      const policy = aPolicy();
      const other = aPolicy();
      await write(async ({ policies }) => {
        await policies.insert(policy);
        await policies.insert(other);
      });
      await expect(write(({ policies }) => policies.insert(aPolicy({ name: policy.name })))).rejects.toMatchObject({
        code: "conflict",
        details: { field: "name" },
      });
      const changed = { ...policy, mode: "disabled" as const, version: 2 };
      await write(({ policies }) => policies.save(changed));
      expect(await read(({ policies }) => policies.get(policy.id))).toEqual(changed);
      await expect(write(({ policies }) => policies.save(changed))).rejects.toMatchObject({ code: "conflict" });
      await expect(
        write(({ policies }) => policies.save({ ...other, name: policy.name, version: 2 })),
      ).rejects.toMatchObject({ code: "conflict" });
      await write(({ policies }) => policies.delete(policy.id));
      expect(await read(({ policies }) => policies.find(policy.id))).toBeUndefined();
      await expect(write(({ policies }) => policies.delete(policy.id))).rejects.toMatchObject({ code: "not_found" });
      await expect(read(({ policies }) => policies.get("nothing"))).rejects.toMatchObject({ code: "not_found" });
    });

    test("are found by what they name, by effect, mode and text", async () => {
      const [agentId, serverId] = [newId(), newId()];
      // Ids of one millisecond are in no order of their own.
      const [firstId = "", secondId = ""] = [newId(), newId()].toSorted();
      const one = aPolicy({ id: firstId, mentions: [agentId, "role:owner"], effect: "allow" });
      const two = aPolicy({ id: secondId, mentions: [serverId], mode: "monitor", description: "100% sure" });
      await write(async ({ policies }) => {
        await policies.insert(one);
        await policies.insert(two);
      });
      const ids = [one.id, two.id];
      const found = async (filter: object) =>
        (await read(({ policies }) => policies.list({ ids, ...filter }, { limit: 50 }))).items.map(({ id }) => id);
      expect(await found({})).toEqual(ids);
      expect(await found({ mention: agentId })).toEqual([one.id]);
      expect(await found({ mention: newId() })).toEqual([]);
      expect(await found({ effect: "allow" })).toEqual([one.id]);
      expect(await found({ mode: "monitor" })).toEqual([two.id]);
      expect(await found({ query: "100%" })).toEqual([two.id]);
      const mentioning = async (keys: readonly string[]) =>
        (await read(({ policies }) => policies.mentioning(keys))).map(({ id }) => id);
      expect(await mentioning([agentId, serverId, newId()])).toEqual(ids);
      expect(await mentioning(["role:owner"])).toEqual([one.id]);
      expect(await mentioning(["role:own"])).toEqual([]);
      expect(await mentioning([])).toEqual([]);
      const first = await read(({ policies }) => policies.list({ ids }, { limit: 1 }));
      expect(first).toMatchObject({ total: 2, next: one.id });
      const modes = await read(({ policies }) => policies.countByMode());
      expect(modes.monitor).toBeGreaterThanOrEqual(1);
    });
  });

  describe("counts of policies", () => {
    async function record(...drafts: readonly Partial<AuditEventDraft>[]): Promise<void> {
      const events = drafts.map((given) => toUnplaced(aDraft({ time: NOW, ...given })));
      await write(async ({ audit }) => audit.append(events, (await audit.lastSeq()) + 1));
    }

    test("sum up matches and violations by time and resource, and go with the policy", async () => {
      const [deny, watch] = [aPolicy(), aPolicy({ mode: "monitor" })];
      const agent = anAgent();
      await write(async (tx) => {
        await tx.policies.insert(deny);
        await tx.policies.insert(watch);
        await tx.agents.insert(agent);
      });
      const actor = { type: "agent", id: agent.id, name: agent.name } as const;
      const policies = [{ id: deny.id, name: deny.name }];
      const denied = { actor, policies, outcome: "denied", reason: "policy" } as const;
      const tool = { type: "tool", id: "s/t", name: "srv/t" };
      const also = [{ id: watch.id, name: watch.name, effect: "deny", mode: "monitor" }];
      await record(
        { ...denied, resource: tool, time: NOW - 40 * 24 * HOUR_MS },
        { ...denied, resource: tool, time: NOW - 3 * 24 * HOUR_MS },
        { ...denied, resource: tool, details: { alsoMatched: also } },
        { actor, policies: [{ id: newId(), name: "gone" }], outcome: "denied", reason: "policy" },
        { actor, policies: [{ id: watch.id, name: watch.name }], outcome: "success" },
      );
      const counts = await read((tx) => tx.policies.counts([deny.id, watch.id, newId()], NOW));
      expect(counts.get(deny.id)).toEqual({
        matches: 3,
        violations: 3,
        violationsLast24h: 1,
        violationsLast7d: 2,
        lastMatchedAt: NOW,
        byResource: [{ id: "s/t", name: "srv/t", violations: 3 }],
      });
      expect(counts.get(watch.id)).toMatchObject({ matches: 2, violations: 1, violationsLast24h: 1 });
      await record({ ...denied, resource: tool });
      expect((await read((tx) => tx.policies.counts([deny.id], NOW))).get(deny.id)?.violations).toBe(4);
      const violations = await read((tx) => tx.policies.violationsOf([agent.id, newId()], NOW - HOUR_MS));
      expect([...violations.keys()]).toEqual([agent.id]);
      expect(violations.get(agent.id)?.toSorted((left, right) => right.violations - left.violations)).toEqual([
        { policyId: deny.id, violations: 4, lastAt: NOW },
        { policyId: watch.id, violations: 1, lastAt: NOW },
      ]);
      const since = { violatedSince: NOW - HOUR_MS, seenSince: NOW };
      const states = async (state: "compliant" | "violating" | "unused") =>
        (await read((tx) => tx.agents.list({ ids: [agent.id], compliance: { state, ...since } }, { limit: 5 }))).total;
      expect([await states("violating"), await states("unused"), await states("compliant")]).toEqual([1, 0, 0]);
      await write((tx) => tx.policies.delete(deny.id));
      await write((tx) => tx.policies.delete(watch.id));
      expect(await read((tx) => tx.policies.counts([deny.id], NOW))).toEqual(new Map());
      expect([await states("violating"), await states("unused"), await states("compliant")]).toEqual([0, 1, 0]);
    });
  });
}
