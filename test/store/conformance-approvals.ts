import { describe, expect, test } from "vitest";
import { decideApproval, useApproval } from "../../src/domain/approval.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { anAgent, anApproval } from "../harness/entities.ts";

interface Subject {
  store(): Store;
  /** What listeners heard since the last question. */
  changes(): readonly Change[];
}

const NOW = Date.UTC(2026, 5, 1, 12);

/** What every store promises of approvals. */
export function approvalConformance(subject: Subject): void {
  const write = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().transaction(work);
  const read = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().read(work);
  const decision = { at: NOW, by: { type: "key", id: newId(), name: "sec" } as const, note: "fine" };

  describe("approvals", () => {
    test("come back exactly, whatever an agent called its tool", async () => {
      const approval = anApproval({
        member: { id: newId(), name: "Zoë" },
        target: { type: "tool", name: "a\0🦊" },
        payload: { arguments: { path: "/x\0", deep: [{ a: null }] } },
      });
      await write(({ approvals }) => approvals.insert(approval));
      expect(await read(({ approvals }) => approvals.get(approval.id))).toEqual(approval);
      expect(subject.changes()).toContainEqual({ kind: "approval", id: approval.id });
      await expect(read(({ approvals }) => approvals.get(newId()))).rejects.toMatchObject({ code: "not_found" });
    });

    test("come back exactly for a skill, which is no server's", async () => {
      const approval = anApproval({
        server: null,
        action: "run_skill",
        target: { type: "skill", id: newId(), name: "close-issue", version: 3 },
        requester: { type: "key", id: newId(), name: "ops", onBehalfOf: { id: newId(), name: "Ada" } },
      });
      await write(({ approvals }) => approvals.insert(approval));
      expect(await read(({ approvals }) => approvals.get(approval.id))).toEqual(approval);
    });

    test("are used once: a second use finds another version", async () => {
      const approval = anApproval();
      const approved = decideApproval(approval, { status: "approved", decision, ttlMs: 1000 });
      const used = useApproval(approved, NOW);
      await write(({ approvals }) => approvals.insert(approval));
      await write(({ approvals }) => approvals.save(approved));
      expect(await read(({ approvals }) => approvals.findOpen(approval.bindingHash, NOW))).toEqual(approved);
      await write(({ approvals }) => approvals.save(used));
      await expect(write(({ approvals }) => approvals.save(used))).rejects.toMatchObject({ code: "conflict" });
      expect(await read(({ approvals }) => approvals.get(approval.id))).toEqual(used);
      expect(await read(({ approvals }) => approvals.findOpen(approval.bindingHash, NOW))).toBeUndefined();
    });

    test("are forgotten in the order of their end, at most so many at a time", async () => {
      const ends = [3, 1, 2, 4].map((expiresAt) => anApproval({ status: "used", expiresAt }));
      await write(async ({ approvals }) => {
        for (const approval of ends) await approvals.insert(approval);
      });
      const left = async () => {
        const found = await Promise.all(ends.map(({ id }) => read(({ approvals }) => approvals.find(id))));
        return found.flatMap((approval) => approval?.expiresAt ?? []);
      };
      expect(await write(({ approvals }) => approvals.prune(3, 2))).toBe(2);
      expect(await left()).toEqual([3, 4]);
      expect(await write(({ approvals }) => approvals.prune(3, 2))).toBe(1);
      expect(await write(({ approvals }) => approvals.prune(3, 2))).toBe(0);
      expect(await left()).toEqual([4]);
    });

    test("are found by binding, status, agent and server, as of a time", async () => {
      const [agentOwner, serverId] = [newId(), newId()];
      const agent = anAgent({ owner: agentOwner });
      const agentId = agent.id;
      const named = { id: agentId, name: agent.name };
      const pending = anApproval({ agent: named, expiresAt: NOW + 1 });
      const expired = anApproval({ agent: named, expiresAt: NOW });
      const denied = anApproval({ agent: named, status: "denied", decision, server: { id: serverId, name: "s" } });
      await write(async ({ agents, approvals }) => {
        await agents.insert(agent);
        for (const approval of [pending, expired, denied]) await approvals.insert(approval);
      });
      const found = async (filter: object) => {
        const page = await read(({ approvals }) => approvals.list({ agentOwner, now: NOW, ...filter }, { limit: 50 }));
        expect(page.total).toBe(page.items.length);
        return page.items.map(({ id }) => id);
      };
      expect((await found({})).toSorted()).toEqual([pending.id, expired.id, denied.id].toSorted());
      expect(await found({ status: "pending" })).toEqual([pending.id]);
      expect(await found({ status: "expired" })).toEqual([expired.id]);
      expect(await found({ status: "denied" })).toEqual([denied.id]);
      expect(await found({ serverId })).toEqual([denied.id]);
      expect(await found({ agentId: newId() })).toEqual([]);
      expect(await found({ agentOwner: newId() })).toEqual([]);
      expect(await read(({ approvals }) => approvals.countPending(NOW, agentId))).toBe(1);
      expect(await read(({ approvals }) => approvals.countPending(NOW))).toBeGreaterThanOrEqual(1);
      expect(await read(({ approvals }) => approvals.findOpen(expired.bindingHash, NOW))).toBeUndefined();
      expect((await read(({ approvals }) => approvals.findOpen(denied.bindingHash, NOW)))?.id).toBe(denied.id);
    });
  });
}
