import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { DEFAULT_SETTINGS } from "../../src/domain/organization.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Page, PageRequest } from "../../src/lib/paging.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { aDraft, aGroup, aMember, aServer, aTool, anAgent, anApiKey, anOrganization } from "../harness/entities.ts";
import { auditConformance } from "./conformance-audit.ts";

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
          lastActiveAt: 5,
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

    describe("servers", () => {
      test("come back exactly, with long and strange texts", async () => {
        const server = aServer({
          description: LONG,
          groups: [newId()],
          headerNames: [UNICODE],
          envNames: ["A", "B"],
          owner: newId(),
          allowPrivateNetwork: true,
          shareable: false,
          health: { state: "ok", checkedAt: 17, latencyMs: 12.5, error: null },
        });
        const stdio = aServer({
          transport: "stdio",
          url: null,
          command: "npx",
          cwd: "/srv",
          serverInfo: null,
          protocolVersion: null,
        });
        await write(async ({ servers }) => {
          await servers.insert(server);
          await servers.insert(stdio);
        });
        expect(await read(({ servers }) => servers.get(server.name))).toEqual(server);
        expect(await read(({ servers }) => servers.find(stdio.id))).toEqual(stdio);
      });

      test("are changed by version only", async () => {
        const server = aServer();
        await write(({ servers }) => servers.insert(server));
        const changed = { ...server, description: UNICODE, status: "disabled" as const, version: 2 };
        await write(({ servers }) => servers.save(changed));
        expect(await read(({ servers }) => servers.get(server.id))).toEqual(changed);
        const stale = { ...server, description: "stale", version: 2 };
        await expect(write(({ servers }) => servers.save(stale))).rejects.toMatchObject({
          code: "conflict",
          details: { field: "version", currentVersion: 2 },
        });
        await expect(write(({ servers }) => servers.save({ ...changed, version: 4 }))).rejects.toMatchObject({
          code: "conflict",
        });
        await expect(write(({ servers }) => servers.save(aServer({ version: 2 })))).rejects.toMatchObject({
          code: "not_found",
        });
        expect(await read(({ servers }) => servers.get(server.id))).toEqual(changed);
      });

      test("have unique names, also after a change; the same name in another kind is free", async () => {
        const [one, two] = [aServer({ name: "github" }), aServer()];
        await write(async ({ servers, agents }) => {
          await servers.insert(one);
          await servers.insert(two);
          await agents.insert(anAgent({ name: "github" }));
        });
        const taken = { code: "conflict", details: { field: "name" } };
        await expect(write(({ servers }) => servers.insert(aServer({ name: "github" })))).rejects.toMatchObject(taken);
        await expect(
          write(({ servers }) => servers.save({ ...two, name: "github", version: 2 })),
        ).rejects.toMatchObject(taken);
        await write(({ servers }) => servers.save({ ...one, name: "github-2", version: 2 }));
        await write(({ servers }) => servers.insert(aServer({ name: "github" })));
      });

      test("are listed by each filter", async () => {
        const groupId = newId();
        const server = aServer({
          status: "quarantined",
          transport: "sse",
          groups: [groupId, newId()],
          description: "50%_off\\",
          health: { state: "not_mcp", checkedAt: 1, latencyMs: null, error: "no" },
        });
        const agent = anAgent({ assignments: [{ serverId: server.id, tools: null, resources: null, prompts: null }] });
        await write(async ({ servers, agents }) => {
          await servers.insert(server);
          await agents.insert(agent);
        });
        const hits = [
          { status: "quarantined" },
          { health: "not_mcp" },
          { transport: "sse" },
          { groupId },
          { agentId: agent.id },
          { ids: [server.id, newId()] },
          { query: "%_OFF\\" },
          { query: server.name.toUpperCase(), status: "quarantined" },
        ] as const;
        for (const filter of hits)
          expect(idsOf(await read(({ servers }) => servers.list(filter, FIRST)))).toEqual([server.id]);
        const misses = [
          { ids: [] },
          { agentId: newId() },
          { query: "%off" },
          { query: `${LONG}x` },
          { groupId: "%" },
        ] as const;
        for (const filter of misses) {
          expect(await read(({ servers }) => servers.list(filter, FIRST))).toEqual({ items: [], total: 0 });
        }
        expect(await read(({ servers }) => servers.countByStatus())).toMatchObject({ quarantined: 1, disabled: 1 });
      });

      test("lose their tools and assignments when deleted, and the agents hear of it", async () => {
        const server = aServer();
        const agent = anAgent({ assignments: [{ serverId: server.id, tools: [], resources: null, prompts: null }] });
        await write(async ({ servers, agents }) => {
          await servers.insert(server);
          await servers.saveTools(server.id, [aTool({ serverId: server.id })]);
          await servers.saveHealth(server.id, server.health);
          await agents.insert(agent);
        });
        changes = [];
        await write(({ servers }) => servers.delete(server.id));
        expect(await read(({ servers }) => servers.find(server.id))).toBeUndefined();
        expect(await read(({ servers }) => servers.tools(server.id))).toEqual([]);
        expect(await read(({ servers }) => servers.healthHistory(server.id, 10))).toEqual([]);
        expect((await read(({ agents }) => agents.get(agent.id))).assignments).toEqual([]);
        expect(changes).toEqual([
          { kind: "server", id: server.id },
          { kind: "agent", id: agent.id },
        ]);
        await expect(write(({ servers }) => servers.delete(server.id))).rejects.toMatchObject({ code: "not_found" });
      });

      test("keep the last fifty checks of their health, without a new version", async () => {
        const server = aServer();
        const health = (checkedAt: number) => ({ state: "ok" as const, checkedAt, latencyMs: 0.25, error: null });
        await write(async ({ servers }) => {
          await servers.insert(server);
          for (let checkedAt = 1; checkedAt <= 60; checkedAt += 1)
            await servers.saveHealth(server.id, health(checkedAt));
        });
        const history = await read(({ servers }) => servers.healthHistory(server.id, 100));
        expect(history.map((entry) => entry.checkedAt)).toEqual(Array.from({ length: 50 }, (_, index) => 60 - index));
        expect(await read(({ servers }) => servers.healthHistory(server.id, 1))).toEqual([health(60)]);
        expect(await read(({ servers }) => servers.get(server.id))).toEqual({ ...server, health: health(60) });
        await expect(write(({ servers }) => servers.saveHealth(newId(), health(1)))).rejects.toMatchObject({
          code: "not_found",
        });
      });

      test("replace their tools", async () => {
        const server = aServer();
        const tool = aTool({
          serverId: server.id,
          name: UNICODE,
          definition: {
            name: UNICODE,
            title: "t",
            description: LONG,
            inputSchema: { type: "object", $defs: { a: [1, null] } },
          },
          state: "changed",
          pending: { digest: "e".repeat(64), definition: { name: UNICODE }, seenAt: 3 },
        });
        const many = Array.from({ length: 700 }, () => aTool({ serverId: server.id }));
        await write(async ({ servers }) => {
          await servers.insert(server);
          await servers.saveTools(server.id, many);
        });
        expect(await read(({ servers }) => servers.toolCounts([server.id, newId()]))).toEqual(
          new Map([[server.id, 700]]),
        );
        await write(({ servers }) => servers.saveTools(server.id, [tool]));
        expect(await read(({ servers }) => servers.tools(server.id))).toEqual([tool]);
        expect(await read(({ servers }) => servers.toolCounts([]))).toEqual(new Map());
      });
    });

    describe("paging", () => {
      test("shows every row once while rows are added, and tells the total", async () => {
        const owner = newId();
        const rows = Array.from({ length: 25 }, () => anAgent({ owner })).toSorted((a, b) => (a.id < b.id ? -1 : 1));
        await write(async ({ agents }) => {
          for (const agent of rows) await agents.insert(agent);
        });
        const seen: string[] = [];
        let after: string | undefined;
        for (let pages = 0; pages < 10; pages += 1) {
          const page = await read(({ agents }) => agents.list({ owner }, { limit: 10, after }));
          expect(page.total).toBe(25 + pages);
          seen.push(...idsOf(page));
          await write(({ agents }) => agents.insert(anAgent({ owner })));
          after = page.next;
          if (after === undefined) break;
        }
        expect(seen.slice(0, 25)).toEqual(rows.map((agent) => agent.id));
        expect(new Set(seen).size).toBe(seen.length);
      });

      test("gives no next page when the last row is shown", async () => {
        const owner = newId();
        await write(({ agents }) => agents.insert(anAgent({ owner })));
        const page = await read(({ agents }) => agents.list({ owner }, { limit: 1 }));
        expect(Object.keys(page).toSorted()).toEqual(["items", "total"]);
      });
    });

    describe("agents", () => {
      test("keep their assignments in order, and a missing list apart from an empty one", async () => {
        const servers = [aServer(), aServer(), aServer()];
        const assignments = servers.toReversed().map((server, index) => ({
          serverId: server.id,
          tools: index === 0 ? null : [],
          resources: [UNICODE],
          prompts: null,
        }));
        const agent = anAgent({ assignments, description: LONG, groups: [newId()] });
        await write(async (repositories) => {
          for (const server of servers) await repositories.servers.insert(server);
          await repositories.agents.insert(agent);
        });
        expect(await read(({ agents }) => agents.get(agent.name))).toEqual(agent);
        const changed = { ...agent, assignments: assignments.slice(1).toReversed(), version: 2 };
        await write(({ agents }) => agents.save(changed));
        expect(await read(({ agents }) => agents.get(agent.id))).toEqual(changed);
        await expect(write(({ agents }) => agents.save(changed))).rejects.toMatchObject({ code: "conflict" });
        const [first] = servers;
        expect(await read(({ agents }) => agents.countByServer([first?.id ?? "", newId()]))).toEqual(
          new Map([[first?.id, 1]]),
        );
      });

      test("are refused with a server that does not exist, or twice the same", async () => {
        const server = aServer();
        await write(({ servers }) => servers.insert(server));
        const on = (serverId: string) => ({ serverId, tools: null, resources: null, prompts: null });
        const lost = anAgent({ assignments: [on(newId())] });
        await expect(write(({ agents }) => agents.insert(lost))).rejects.toMatchObject({ code: "not_found" });
        const twice = anAgent({ assignments: [on(server.id), on(server.id)] });
        await expect(write(({ agents }) => agents.insert(twice))).rejects.toMatchObject({ code: "invalid_input" });
        expect(await read(({ agents }) => agents.find(lost.id))).toBeUndefined();
      });

      test("are listed, counted, touched and deleted", async () => {
        const [groupId, owner] = [newId(), newId()];
        const server = aServer();
        const assignments = [{ serverId: server.id, tools: null, resources: null, prompts: null }];
        const agent = anAgent({
          type: "custom-bot",
          status: "suspended",
          groups: [groupId],
          owner,
          assignments,
          description: "Nightly",
        });
        await write(async ({ servers, agents }) => {
          await servers.insert(server);
          await agents.insert(agent);
        });
        const hits = [
          { type: "custom-bot" },
          { status: "suspended" },
          { serverId: server.id },
          { groupId },
          { owner },
          { ids: [agent.id] },
          { query: "nightly" },
        ] as const;
        for (const filter of hits)
          expect(idsOf(await read(({ agents }) => agents.list(filter, FIRST)))).toEqual([agent.id]);
        expect(await read(({ agents }) => agents.list({ ids: [] }, FIRST))).toEqual({ items: [], total: 0 });
        expect((await read(({ agents }) => agents.countByStatus())).suspended).toBe(1);
        expect(await read(({ agents }) => agents.countByOwner([owner, newId()]))).toEqual(new Map([[owner, 1]]));
        changes = [];
        await write(({ agents }) => agents.touch(agent.id, 99));
        expect(changes).toEqual([]);
        expect(await read(({ agents }) => agents.get(agent.id))).toEqual({ ...agent, lastSeenAt: 99 });
        await write(({ agents }) => agents.delete(agent.id));
        await expect(read(({ agents }) => agents.get(agent.id))).rejects.toMatchObject({ code: "not_found" });
        await expect(write(({ agents }) => agents.delete(agent.id))).rejects.toMatchObject({ code: "not_found" });
        expect(changes).toEqual([{ kind: "agent", id: agent.id }]);
        await expect(write(({ agents }) => agents.insert(anAgent({ name: "github" })))).rejects.toMatchObject({
          code: "conflict",
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
        const expired = anApiKey({ ...shared, expiresAt: 1_000 });
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
        const after = await read(({ apiKeys }) => apiKeys.counts(1_000));
        expect(after).toEqual({ active: before.active + 2, unused: before.unused + 1, revoked: before.revoked + 1 });
      });

      test("add up their uses without a new version", async () => {
        const key = anApiKey({ useCount: 3 });
        await write(({ apiKeys }) => apiKeys.insert(key));
        await write(({ apiKeys }) =>
          apiKeys.recordUse([
            { keyId: key.id, at: 50, ip: "10.0.0.1", count: 4 },
            { keyId: newId(), at: 50, ip: null, count: 1 },
          ]),
        );
        const used = { ...key, lastUsedAt: 50, lastUsedIp: "10.0.0.1", useCount: 7 };
        expect(await read(({ apiKeys }) => apiKeys.get(key.id))).toEqual(used);
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
    expect(() => store.onCommitted(() => Promise.resolve())).toThrow("before the first transaction");
    await store.close();
  });
}

function idsOf(page: Page<{ readonly id: string }>): string[] {
  return page.items.map((item) => item.id);
}
