import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../../src/domain/organization.ts";
import { toAppError } from "../../src/lib/errors.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Page, PageRequest } from "../../src/lib/paging.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { aDraft, aGroup, aMember, aServer, aTool, anApiKey, anOrganization } from "../harness/entities.ts";
import { auditConformance } from "./conformance-audit.ts";
import { approvalConformance } from "./conformance-approvals.ts";
import { skillConformance } from "./conformance-skills.ts";
import { fleetConformance } from "./conformance-fleet.ts";
import { sweepConformance } from "./conformance-sweep.ts";
import { policyConformance } from "./conformance-policies.ts";

/** Opens an empty store of its own. */
export type OpenEmpty = () => Promise<Store>;

const UNICODE = "Zoë 🦊 日本語 \u202Eabc\u200B \"quoted\" 'single' \\ %_";
const LONG = "ü".repeat(10_000);
const FIRST: PageRequest = { limit: 50 };

/** What every store promises, whatever is below it. */
export function storeConformance(name: string, openEmpty: OpenEmpty): void {
  describe(name, () => {
    let store: Store;
    let changes: Change[] = [];
    const write = <T>(work: (repositories: Repositories) => Promise<T>) => store.transaction(work);
    const read = <T>(work: (repositories: Repositories) => Promise<T>) => store.read(work);

    beforeAll(async () => {
      store = await openEmpty();
      store.onCommitted(async (committed) => void changes.push(...committed));
    });
    afterAll(() => store.close());
    beforeEach(() => {
      changes = [];
    });

    describe("transactions", () => {
      test("a rollback leaves nothing and tells nobody", async () => {
        const server = aServer();
        const failure = write(async ({ servers, audit, values }) => {
          await servers.insert(server);
          await audit.stage(aDraft());
          await values.set("rolled-back", "yes");
          throw new Error("stop");
        });
        await expect(failure).rejects.toThrow("stop");
        expect(await read(({ servers }) => servers.find(server.id))).toBeUndefined();
        expect(await read(({ values }) => values.find("rolled-back"))).toBeUndefined();
        expect(await read(({ audit }) => audit.takeStaged(10))).toEqual([]);
        expect(changes).toEqual([]);
      });

      test("run one after the other, and each sees what the one before wrote", async () => {
        await write(({ values }) => values.set("counter", "0"));
        const increment = () =>
          write(async ({ values }) => {
            const before = Number(await values.find("counter"));
            await new Promise((resolve) => setTimeout(resolve, 1));
            await values.set("counter", String(before + 1));
          });
        await Promise.all(Array.from({ length: 20 }, increment));
        expect(await read(({ values }) => values.find("counter"))).toBe("20");
      });

      test("a read sees one state, whatever is committed meanwhile", async () => {
        await write(({ values }) => values.set("seen", "before"));
        const [first, second] = await read(async ({ values }) => {
          const before = await values.find("seen");
          await write((repositories) => repositories.values.set("seen", "after"));
          return [before, await values.find("seen")];
        });
        expect([first, second]).toEqual(["before", "before"]);
        expect(await read(({ values }) => values.find("seen"))).toBe("after");
      });

      test("neither a change, nor what the program reads, nor a ping waits for what callers read", async () => {
        const callers = new AbortController();
        const stuck = Promise.withResolvers<undefined>();
        const readings = Array.from({ length: 50 }, () =>
          store.readForCaller(async ({ values }) => {
            await values.find("counter");
            await stuck.promise;
          }, callers.signal),
        );
        const settled = Promise.allSettled(readings);
        await write(({ values }) => values.set("written", "meanwhile"));
        expect(await read(({ values }) => values.find("written"))).toBe("meanwhile");
        await store.ping();
        stuck.resolve(undefined);
        expect((await settled).filter(({ status }) => status === "rejected")).toEqual([]);
      });

      test("a caller's read ends before its next statement when the caller has gone, and one too many is refused", async () => {
        const callers = new AbortController();
        const begun = Promise.withResolvers<undefined>();
        const stuck = Promise.withResolvers<undefined>();
        const hold = () =>
          store.readForCaller(async ({ values }) => {
            begun.resolve(undefined);
            await stuck.promise;
            await values.find("counter");
          }, callers.signal);
        const readings = Promise.allSettled(Array.from({ length: 300 }, hold));
        await begun.promise;
        await expect(hold()).rejects.toMatchObject({ code: "unavailable" });
        callers.abort();
        stuck.resolve(undefined);
        const codes = (await readings).map((result) =>
          result.status === "rejected" ? toAppError(result.reason).code : "read",
        );
        expect(codes.filter((code) => code === "timeout").length).toBeGreaterThan(200);
        expect(new Set(codes)).toEqual(new Set(["timeout", "unavailable"]));
        const fresh = new AbortController();
        expect(await store.readForCaller(({ values }) => values.find("counter"), fresh.signal)).toBe("20");
      });

      test("a read does not see what is not committed", async () => {
        await write(({ values }) => values.set("open", "committed"));
        await write(async ({ values }) => {
          await values.set("open", "uncommitted");
          expect(await read((repositories) => repositories.values.find("open"))).toBe("committed");
        });
      });

      test("a read cannot write", async () => {
        await expect(read(({ values }) => values.set("written-by-read", "yes"))).rejects.toThrow();
        await expect(read(({ groups }) => groups.insert(aGroup()))).rejects.toThrow();
        expect(await read(({ values }) => values.find("written-by-read"))).toBeUndefined();
      });

      test("more reads than connections all get their turn", async () => {
        const answers = await Promise.all(
          Array.from({ length: 50 }, () => read(({ servers }) => servers.countByStatus())),
        );
        expect(answers).toHaveLength(50);
      });

      test("listeners hear of a commit before the transaction resolves, each row once", async () => {
        const server = aServer();
        await write(async ({ servers }) => {
          await servers.insert(server);
          await servers.saveTools(server.id, [aTool({ serverId: server.id })]);
          expect(changes).toEqual([]);
        });
        expect(changes).toEqual([{ kind: "server", id: server.id }]);
      });
    });

    describe("organization", () => {
      test("is one, is changed by version, and is not found before it exists", async () => {
        await expect(read(({ organization }) => organization.get())).rejects.toMatchObject({ code: "not_found" });
        expect(await read(({ organization }) => organization.find())).toBeUndefined();
        const first = anOrganization({ name: UNICODE });
        await write(({ organization }) => organization.insert(first));
        expect(await read(({ organization }) => organization.get())).toEqual(first);
        await expect(write(({ organization }) => organization.insert(anOrganization()))).rejects.toMatchObject({
          code: "conflict",
        });
        const second = { ...first, version: 2, settings: { ...DEFAULT_SETTINGS, auditPayloads: "none" as const } };
        await write(({ organization }) => organization.save(second));
        expect(await read(({ organization }) => organization.find())).toEqual(second);
        await expect(write(({ organization }) => organization.save(second))).rejects.toMatchObject({
          code: "conflict",
        });
        expect(changes.map((change) => change.kind)).toEqual(["organization", "organization"]);
      });
    });

    describe("members", () => {
      test("are found by id and by email in any case", async () => {
        const member = aMember({
          email: "Ada.Lovelace@Example.com",
          name: UNICODE,
          groups: [newId()],
        });
        await write(({ members }) => members.insert(member));
        for (const ref of [member.id, member.id.toUpperCase(), member.email, "ada.lovelace@example.COM"]) {
          expect(await read(({ members }) => members.get(ref))).toEqual(member);
        }
        await expect(read(({ members }) => members.get("nobody@example.com"))).rejects.toMatchObject({
          code: "not_found",
          details: { ref: "nobody@example.com" },
        });
      });

      test("have unique emails, also after a change", async () => {
        const [one, two] = [aMember(), aMember()];
        await write(async ({ members }) => {
          await members.insert(one);
          await members.insert(two);
        });
        const taken = { code: "conflict", details: { field: "email" } };
        const same = aMember({ email: one.email.toUpperCase() });
        await expect(write(({ members }) => members.insert(same))).rejects.toMatchObject(taken);
        const renamed = { ...two, email: one.email, version: 2 };
        await expect(write(({ members }) => members.save(renamed))).rejects.toMatchObject(taken);
        const suspended = { ...two, status: "suspended" as const, role: "auditor" as const, version: 2 };
        await write(({ members }) => members.save(suspended));
        expect(await read(({ members }) => members.get(two.id))).toEqual(suspended);
      });

      test("are listed by filter", async () => {
        const groupId = newId();
        const member = aMember({
          role: "scanner",
          status: "invited",
          groups: [newId(), groupId],
          name: "Grace 100%_x",
        });
        await write(({ members }) => members.insert(member));
        const hits = [{ role: "scanner" }, { status: "invited" }, { groupId }, { query: "gRACE 100%_" }] as const;
        for (const filter of hits)
          expect(idsOf(await read(({ members }) => members.list(filter, FIRST)))).toEqual([member.id]);
        expect(await read(({ members }) => members.list({ query: "100_%" }, FIRST))).toEqual({ items: [], total: 0 });
      });
    });

    describe("groups", () => {
      test("are found, listed and unique", async () => {
        const [one, two] = [aGroup({ name: "approved-developers" }), aGroup()];
        await write(async ({ groups }) => {
          await groups.insert(one);
          await groups.insert(two);
        });
        expect(await read(({ groups }) => groups.find("approved-developers"))).toEqual(one);
        expect(await read(({ groups }) => groups.find(two.id))).toEqual(two);
        expect(await read(({ groups }) => groups.find("unknown"))).toBeUndefined();
        expect(await read(({ groups }) => groups.byIds([one.id, newId()]))).toEqual([one]);
        expect(await read(({ groups }) => groups.byIds([]))).toEqual([]);
        expect(idsOf(await read(({ groups }) => groups.list("APPROVED", FIRST)))).toEqual([one.id]);
        expect((await read(({ groups }) => groups.list(undefined, FIRST))).total).toBe(2);
        await expect(write(({ groups }) => groups.insert(aGroup({ name: one.name })))).rejects.toMatchObject({
          code: "conflict",
          details: { field: "name" },
        });
      });
    });

    describe("API keys", () => {
      test("are found by id, name and hash, and unique in name and hash", async () => {
        const key = anApiKey({ description: UNICODE, allowedIps: ["10.0.0.0/8"], memberId: newId(), expiresAt: 2_000 });
        await write(({ apiKeys }) => apiKeys.insert(key));
        expect(await read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(key);
        expect(await read(({ apiKeys }) => apiKeys.find(key.name))).toEqual(key);
        expect(await read(({ apiKeys }) => apiKeys.findByHash(key.hash))).toEqual(key);
        expect(await read(({ apiKeys }) => apiKeys.findByHash("unknown"))).toBeUndefined();
        await expect(read(({ apiKeys }) => apiKeys.get("unknown"))).rejects.toMatchObject({ code: "not_found" });
        const sameName = write(({ apiKeys }) => apiKeys.insert(anApiKey({ name: key.name })));
        await expect(sameName).rejects.toMatchObject({ code: "conflict", details: { field: "name" } });
        const sameHash = write(({ apiKeys }) => apiKeys.insert(anApiKey({ hash: key.hash })));
        await expect(sameHash).rejects.toMatchObject({ code: "conflict", details: { field: "key" } });
        const revoked = { ...key, revoked: { at: 7, reason: null }, version: 2 };
        await write(({ apiKeys }) => apiKeys.save(revoked));
        expect(await read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(revoked);
        await expect(write(({ apiKeys }) => apiKeys.save(revoked))).rejects.toMatchObject({ code: "conflict" });
      });

      test("count and list by their status at a time", async () => {
        const [agentId, memberId] = [newId(), newId()];
        const shared = { agentId, memberId, kind: "agent" as const, role: null, createdAt: 100 };
        const live = anApiKey({ ...shared, expiresAt: 1_001 });
        const forever = anApiKey({ ...shared, lastUsedAt: 500, useCount: 1, name: "forever-100" });
        const expired = anApiKey({ ...shared, expiresAt: 1_000, lastUsedAt: 400 });
        const revoked = anApiKey({ ...shared, expiresAt: 1_000, revoked: { at: 1, reason: "lost" } });
        const before = await read(({ apiKeys }) => apiKeys.counts(1_000));
        await write(async ({ apiKeys }) => {
          for (const key of [live, forever, expired, revoked]) await apiKeys.insert(key);
        });
        const list = (filter: object) => read(({ apiKeys }) => apiKeys.list({ agentId, now: 1_000, ...filter }, FIRST));
        expect(idsOf(await list({ status: "active" })).toSorted()).toEqual([live.id, forever.id].toSorted());
        expect(idsOf(await list({ status: "expired" }))).toEqual([expired.id]);
        expect(idsOf(await list({ status: "revoked" }))).toEqual([revoked.id]);
        expect(idsOf(await list({ unusedSince: 101 }))).not.toContain(forever.id);
        expect((await list({ unusedSince: 501 })).total).toBe(4);
        expect((await list({ unusedSince: 100 })).total).toBe(0);
        expect((await list({ memberId, kind: "agent", query: "FOREVER" })).total).toBe(1);
        expect((await list({ role: "owner" })).total).toBe(0);
        const active = await read(({ apiKeys }) => apiKeys.activeOfAgent(agentId, 1_000));
        expect(active.map((key) => key.id)).toEqual([live.id, forever.id].toSorted());
        expect(await read(({ apiKeys }) => apiKeys.countByMember([memberId, newId()], 1_000))).toEqual(
          new Map([[memberId, 2]]),
        );
        expect(await read(({ apiKeys }) => apiKeys.lastUsedByMember([memberId, newId()]))).toEqual(
          new Map([[memberId, 500]]),
        );
        const after = await read(({ apiKeys }) => apiKeys.counts(1_000));
        expect(after).toEqual({ active: before.active + 2, unused: before.unused + 1, revoked: before.revoked + 1 });
      });

      test("add up their uses without a new version", async () => {
        const key = anApiKey({ useCount: 3 });
        await write(({ apiKeys }) => apiKeys.insert(key));
        await write(({ apiKeys }) =>
          apiKeys.recordUse([
            {
              keyId: key.id,
              last: { at: 50, ip: "10.0.0.1" },
              ips: ["10.0.0.1"],
              count: 4,
              denied: { count: 0, at: 0 },
            },
            { keyId: newId(), last: { at: 50, ip: null }, ips: [], count: 1, denied: { count: 0, at: 0 } },
          ]),
        );
        const useHistory = { networks: [{ network: "10.0.0.1", at: 50 }], newNetworkAt: null, deniedBurstAt: null };
        const used = { ...key, lastUsedAt: 50, lastUsedIp: "10.0.0.1", useCount: 7, useHistory };
        expect(await read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(used);
        const turnedAway = { keyId: key.id, last: null, ips: [], count: 0, denied: { count: 10, at: 60 } };
        await write(({ apiKeys }) => apiKeys.recordUse([turnedAway]));
        const denied = { ...used, useHistory: { ...useHistory, deniedBurstAt: 60 } };
        expect(await read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(denied);
      });
    });

    test("idempotent answers are found until they expire", async () => {
      const answer = {
        callerId: newId(),
        key: UNICODE,
        operation: "create_agent",
        inputHash: "h",
        answer: { agent: { name: UNICODE, list: [1, null] } },
        expiresAt: 1_000,
      };
      await write(({ idempotency }) => idempotency.insert(answer, 0));
      expect(await read(({ idempotency }) => idempotency.find(answer.callerId, answer.key, 999))).toEqual(answer);
      expect(await read(({ idempotency }) => idempotency.find(answer.callerId, answer.key, 1_000))).toBeUndefined();
      expect(await read(({ idempotency }) => idempotency.find(newId(), answer.key, 0))).toBeUndefined();
      await write(({ idempotency }) => idempotency.replaceAnswer(answer.callerId, answer.key, { agent: "changed" }));
      await write(({ idempotency }) => idempotency.replaceAnswer(newId(), answer.key, { agent: "another's" }));
      expect(await read(({ idempotency }) => idempotency.find(answer.callerId, answer.key, 999))).toEqual({
        ...answer,
        answer: { agent: "changed" },
      });
      await expect(write(({ idempotency }) => idempotency.insert(answer, 999))).rejects.toMatchObject({
        code: "conflict",
      });
      await write(({ idempotency }) => idempotency.insert({ ...answer, answer: null, expiresAt: 2_000 }, 1_000));
      expect(await read(({ idempotency }) => idempotency.find(answer.callerId, answer.key, 1_000))).toMatchObject({
        answer: null,
      });
    });

    test("values are set and replaced", async () => {
      expect(await read(({ values }) => values.find("pepper"))).toBeUndefined();
      await write(({ values }) => values.set("pepper", "one"));
      await write(({ values }) => values.set("pepper", LONG));
      expect(await read(({ values }) => values.find("pepper"))).toBe(LONG);
    });

    test("answers a ping", () => store.ping());

    auditConformance(() => store);
    skillConformance({ store: () => store, changes: () => changes.splice(0) });
    fleetConformance({ store: () => store, changes: () => changes.splice(0) });
    sweepConformance({ store: () => store });
    policyConformance({ store: () => store, changes: () => changes.splice(0) });
    approvalConformance({ store: () => store, changes: () => changes.splice(0) });
  });

  test(`${name} refuses everything once it is closed, and closes after what waits`, async () => {
    const store = await openEmpty();
    const writing = store.transaction(({ values }) => values.set("last", "one"));
    await Promise.all([store.close(), store.close()]);
    await writing;
    await expect(store.ping()).rejects.toMatchObject({ code: "unavailable" });
    await expect(store.transaction(() => Promise.resolve())).rejects.toMatchObject({ code: "unavailable" });
  });

  test(`${name} tells listeners in the order of commits, and of a failing one nobody but its transaction hears`, async () => {
    const store = await openEmpty();
    const heard: string[] = [];
    store.onCommitted(async ([change]) => {
      const id = change?.id ?? "";
      if (id === "1") throw new Error("listener failed");
      await new Promise((resolve) => setTimeout(resolve, id === "0" ? 20 : 0));
      heard.push(id);
    });
    const insert = (id: string) => store.transaction(({ groups }) => groups.insert(aGroup({ id })));
    const results = await Promise.allSettled(["0", "1", "2", "3"].map(insert));
    expect(results.map((result) => result.status)).toEqual(["fulfilled", "rejected", "fulfilled", "fulfilled"]);
    expect(heard).toEqual(["0", "2", "3"]);
    await store.close();
  });
}

function idsOf(page: Page<{ readonly id: string }>): string[] {
  return page.items.map((item) => item.id);
}
