import { describe, expect, test } from "vitest";
import type { AuditEventDraft } from "../../src/domain/audit-event.ts";
import { toEvent } from "../../src/domain/audit-leaf.ts";
import { newId } from "../../src/lib/ids.ts";
import type { AuditFilter, AuditGroup, Store } from "../../src/store/ports.ts";
import { aDraft, anAgent, toUnplaced } from "../harness/entities.ts";

const STRANGE = 'Zoë 🦊 \u202E "q" \'%_ \\ \0 \u{F0000}0 \u{F0000}';

/** What every store promises of the audit log. The log MUST be empty. */
export function auditConformance(storeOf: () => Store): void {
  const append = (drafts: readonly Partial<AuditEventDraft>[]) =>
    storeOf().transaction(async ({ audit }) => {
      const first = (await audit.lastSeq()) + 1;
      const events = drafts.map(aDraft);
      await audit.append(events.map(toUnplaced), first);
      return events.map((event, index) => toEvent(event, first + index));
    });
  const list = (filter: AuditFilter, order: "asc" | "desc" = "asc") =>
    storeOf().read(({ audit }) => audit.list(filter, { limit: 200, order }));
  const group = (filter: AuditFilter, by: "actor" | "action" | "resource") =>
    storeOf().read(({ audit }) => audit.group(filter, by, { limit: 50 }));

  describe("audit log", () => {
    test("moves staged events to the log in their order, without a gap", async () => {
      const store = storeOf();
      expect(await store.read(({ audit }) => audit.lastSeq())).toBe(0);
      const drafts = Array.from({ length: 7 }, (_, index) => aDraft({ details: { index } }));
      const told: string[] = [];
      store.onCommitted(async (changes) => void told.push(...changes.map(({ kind, id }) => `${kind} ${id}`)));
      for (const draft of drafts) await store.transaction(({ audit }) => audit.stage(draft));
      // Whoever moves them hears of each, also where nothing else changed.
      expect(told).toEqual(drafts.map(({ id }) => `auditEvent ${id}`));
      const recordSome = (limit: number) =>
        store.transaction(async ({ audit }) => {
          const last = await audit.lastSeq();
          const taken = await audit.takeStaged(limit);
          await audit.append(taken, last + 1);
          return taken.length;
        });
      expect([await recordSome(5), await recordSome(5), await recordSome(5)]).toEqual([5, 2, 0]);
      const { items, total } = await list({});
      expect(items).toEqual(drafts.map((draft, index) => toEvent(draft, index + 1)));
      expect(total).toBe(7);
    });

    test("says which decisions have their events", async () => {
      const [one] = await append([{}, {}]);
      if (one === undefined) throw new Error("two were appended");
      expect(await storeOf().read(({ audit }) => audit.recordedOf([aDraft(), one]))).toEqual([one.id]);
      expect(await storeOf().read(({ audit }) => audit.recordedOf([]))).toEqual([]);
    });

    test("keeps a staged event when the transaction that took it fails, or leaves an older one out", async () => {
      const store = storeOf();
      const [one, two] = [aDraft(), aDraft()];
      await store.transaction(async ({ audit }) => {
        await audit.stage(one);
        await audit.stage(two);
      });
      const before = await store.read(({ audit }) => audit.lastSeq());
      const skipping = store.transaction(async ({ audit }) => {
        await audit.takeStaged(10);
        await audit.append([toUnplaced(two)], before + 1);
      });
      await expect(skipping).rejects.toThrow("oldest first");
      expect(await store.read(({ audit }) => audit.takeStaged(10))).toEqual([one, two].map(toUnplaced));
      expect(await store.read(({ audit }) => audit.lastSeq())).toBe(before);
      await store.transaction(async ({ audit }) => {
        await audit.takeStaged(10);
        await audit.append([one, two].map(toUnplaced), before + 1);
      });
      expect(await store.read(({ audit }) => audit.takeStaged(10))).toEqual([]);
    });

    test("refuses a seq that is taken", async () => {
      const store = storeOf();
      const last = await store.read(({ audit }) => audit.lastSeq());
      await expect(store.transaction(({ audit }) => audit.append([toUnplaced(aDraft())], last))).rejects.toThrow();
      expect(await store.read(({ audit }) => audit.lastSeq())).toBe(last);
    });

    test("gives an event back exactly as recorded: absent members stay absent", async () => {
      const resource = { type: "tool", id: `${newId()}/\0`, name: STRANGE };
      const [full, bare] = await append([
        {
          actor: {
            type: "agent",
            id: newId(),
            name: STRANGE,
            onBehalfOf: { id: newId(), name: "Ada" },
            ip: "::1",
            client: "cli",
          },
          resource,
          outcome: "denied",
          reason: STRANGE,
          policies: [{ id: newId(), name: STRANGE }],
          sessionId: newId(),
          durationMs: 12.345,
          details: { arguments: { text: "ü".repeat(10_000), nested: [null, true, 1.5, { "": "" }] } },
        },
        { resource, details: {} },
      ]);
      for (const filter of [{ resource: resource.id }, { resource: STRANGE }, { query: STRANGE }]) {
        expect((await list(filter)).items).toStrictEqual([full, bare]);
      }
    });

    test("finds by each filter and by all of them", async () => {
      const [agentId, serverId, policyId] = [newId(), newId(), newId()];
      const [wanted] = await append([
        {
          time: 5_000,
          actor: { type: "agent", id: agentId, name: "finder" },
          action: "tool.started",
          resource: { type: "tool", id: newId(), name: "find/50%_me" },
          outcome: "held",
          reason: "Waits_for approval",
          policies: [
            { id: newId(), name: "other" },
            { id: policyId, name: "wanted" },
          ],
          sessionId: newId(),
          details: { server: { id: serverId, name: "s" } },
        },
        { time: 5_001, policies: [{ id: newId(), name: policyId }], reason: "waitsXfor" },
      ]);
      if (wanted === undefined) throw new Error("no event");
      const all: AuditFilter = {
        from: 5_000,
        to: 5_000,
        actor: "finder",
        actorType: "agent",
        actions: ["server.", "tool.started"],
        resource: wanted.resource.name,
        resourceType: "tool",
        serverId,
        agentId,
        outcome: "held",
        policyId,
        correlationId: wanted.correlationId,
        sessionId: wanted.sessionId,
        query: "WAITS_FOR",
      };
      const alone: AuditFilter[] = [
        { from: 5_000, to: 5_000 },
        { actor: agentId },
        { actor: "finder" },
        { actions: ["tool.started"] },
        { actions: ["tool.started", "agent."] },
        { resource: wanted.resource.id },
        { serverId },
        { agentId },
        { outcome: "held" },
        { policyId },
        { correlationId: wanted.correlationId },
        { sessionId: wanted.sessionId },
        { query: "50%_ME" },
        { query: "waits_FOR" },
        all,
      ];
      for (const filter of alone) expect((await list(filter)).items, JSON.stringify(filter)).toEqual([wanted]);
      expect((await list({ ...all, to: 4_999 })).items).toEqual([]);
      expect((await list({ actions: [] })).items).toEqual([]);
      expect((await list({ actions: ["tool"] })).items).toEqual([]);
      expect((await list({ actions: ["t%."] })).items).toEqual([]);
      expect((await list({ actions: ["tool."] })).total).toBeGreaterThan(1);
    });

    test("derives the server and agent of an event from its resource, its details, its actor", async () => {
      const [server, agent] = [newId(), newId()];
      await append([
        { resource: { type: "server", id: server, name: "s" }, actor: { type: "key", id: newId(), name: "k" } },
        {
          details: { server: { id: server, name: "s" }, agent: { id: agent, name: "a" } },
          actor: { type: "key", id: newId(), name: "k" },
        },
        { actor: { type: "agent", id: agent, name: "a" } },
      ]);
      expect((await list({ serverId: server })).total).toBe(2);
      expect((await list({ agentId: agent })).total).toBe(2);
    });

    test("finds the events of one member's agents, however many they are, and nothing for who has none", async () => {
      const owner = newId();
      const own = Array.from({ length: 201 }, () => anAgent({ owner }));
      await storeOf().transaction(async ({ agents }) => {
        for (const agent of [...own, anAgent({ owner: newId() }), anAgent()]) await agents.insert(agent);
      });
      const actors = [...own, anAgent()].map(({ id, name }) => ({ actor: { type: "agent", id, name } as const }));
      await append(actors);
      expect((await list({ agentOwner: owner })).total).toBe(201);
      expect(await list({ agentOwner: newId() })).toMatchObject({ items: [], total: 0 });
      expect(await group({ agentOwner: newId() }, "actor")).toMatchObject({ items: [], total: 0 });
    });

    test("pages in both orders, stable while events are added", async () => {
      const correlationId = newId();
      const events = await append(Array.from({ length: 5 }, () => ({ correlationId })));
      const seqs = events.map((event) => event.seq);
      for (const order of ["asc", "desc"] as const) {
        const seen: number[] = [];
        let after: string | undefined;
        do {
          const page = await storeOf().read(({ audit }) => audit.list({ correlationId }, { limit: 2, order, after }));
          seen.push(...page.items.map((event) => event.seq));
          after = page.next;
          await append([{ correlationId: order === "desc" ? correlationId : newId() }]);
        } while (after !== undefined);
        expect(seen).toEqual(order === "asc" ? seqs : seqs.toReversed());
      }
    });

    test("groups by actor, action and resource with outcomes and times", async () => {
      const correlationId = newId();
      const ada = { type: "member" as const, id: "1-ada", name: "Ada" };
      const bob = { type: "member" as const, id: "2-bob", name: "Bob" };
      const resource = { type: "server", id: "r-1", name: "github" };
      await append([
        { correlationId, actor: ada, action: "a.one", resource, time: 10, outcome: "success" },
        { correlationId, actor: ada, action: "a.two", resource, time: 30, outcome: "denied" },
        { correlationId, actor: ada, action: "a.two", resource, time: 20, outcome: "error" },
        { correlationId, actor: bob, action: "a.two", resource, time: 40, outcome: "held" },
      ]);
      const adas = {
        key: "1-ada",
        type: "member",
        name: "Ada",
        events: 3,
        allowed: 1,
        denied: 1,
        errors: 1,
        firstAt: 10,
        lastAt: 30,
      };
      const bobs = {
        key: "2-bob",
        type: "member",
        name: "Bob",
        events: 1,
        allowed: 0,
        denied: 0,
        errors: 0,
        firstAt: 40,
        lastAt: 40,
      };
      expect(await group({ correlationId }, "actor")).toEqual({ items: [adas, bobs], total: 2 });
      const byAction = await group({ correlationId }, "action");
      expect(byAction.items.map(({ key, events }: AuditGroup) => [key, events])).toEqual([
        ["a.one", 1],
        ["a.two", 3],
      ]);
      expect((await group({ correlationId }, "resource")).items).toMatchObject([
        { key: "r-1", name: "github", events: 4 },
      ]);
      const first = await storeOf().read(({ audit }) => audit.group({ correlationId }, "actor", { limit: 1 }));
      expect(first).toEqual({ items: [adas], total: 2, next: expect.any(String) });
      const second = await storeOf().read(({ audit }) =>
        audit.group({ correlationId }, "actor", { limit: 1, after: first.next }),
      );
      expect(second).toEqual({ items: [bobs], total: 2 });
    });

    test("tells kinds of one key apart, and gives each the name that it had last", async () => {
      const correlationId = newId();
      const named = (type: string, name: string) => ({ correlationId, resource: { type, id: "s/summary", name } });
      await append([named("tool", "zebra/summary"), named("prompt", "zebra/summary"), named("tool", "ant/summary")]);
      const tool = { key: "s/summary", type: "tool", name: "ant/summary", events: 2 };
      const prompt = { key: "s/summary", type: "prompt", name: "zebra/summary", events: 1 };
      const pageOf = (after?: string) =>
        storeOf().read(({ audit }) => audit.group({ correlationId }, "resource", { limit: 1, after }));
      const first = await pageOf();
      expect(first).toMatchObject({ items: [prompt], total: 2 });
      expect(await pageOf(first.next)).toMatchObject({ items: [tool], total: 2 });
    });

    test("shows names as they are, and pages past the longest with a short cursor", async () => {
      const correlationId = newId();
      const ids = ["a\0\u{F0000}", `b${"🦊".repeat(4_000)}`, "c"];
      await append(ids.map((id) => ({ correlationId, resource: { type: "tool", id, name: `n${id}` } })));
      const seen: string[][] = [];
      for (let after: string | undefined, pages = 0; pages < 5; pages += 1) {
        const filter = { correlationId };
        const page = await storeOf().read(({ audit }) => audit.group(filter, "resource", { limit: 1, after }));
        seen.push(...page.items.map(({ key, name }) => [key, name]));
        after = page.next;
        if (after === undefined) break;
        expect(after.length).toBeLessThan(100);
      }
      expect(seen).toEqual(ids.map((id) => [id, `n${id}`]));
    });

    test("refuses the place of another list or of an event that the filter leaves out", async () => {
      const correlationId = newId();
      await append([{ correlationId }, { correlationId, actor: { type: "member", id: newId(), name: "Bob" } }]);
      const list = (after: string) =>
        storeOf().read(({ audit }) => audit.list({ correlationId }, { limit: 1, order: "desc", after }));
      const group = (id: string, after?: string) =>
        storeOf().read(({ audit }) => audit.group({ correlationId: id }, "actor", { limit: 1, after }));
      const { next = "" } = await group(correlationId);
      const refusal = { code: "invalid_input", details: { field: "cursor" } };
      await expect(group(newId(), next)).rejects.toMatchObject(refusal);
      await expect(group(correlationId, "1")).rejects.toMatchObject(refusal);
      await expect(list(next)).rejects.toMatchObject(refusal);
    });

    test("counts exactly up to 10 000, then says that there are more", async () => {
      const correlationId = newId();
      await append(Array.from({ length: 10_000 }, () => ({ correlationId })));
      const page = () => storeOf().read(({ audit }) => audit.list({ correlationId }, { limit: 1, order: "asc" }));
      expect(await page()).toMatchObject({ total: 10_000 });
      expect(await page()).not.toHaveProperty("totalIsLowerBound");
      await append([{ correlationId }]);
      expect(await page()).toMatchObject({ total: 10_000, totalIsLowerBound: true });
    });
  });
}
