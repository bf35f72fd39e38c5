import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { Assignment } from "../../src/domain/agent.ts";
import type { ServerHealth } from "../../src/domain/server.ts";
import { TOOL_NAME_CHARACTERS_MAX } from "../../src/domain/tool-definition.ts";
import { newId } from "../../src/lib/ids.ts";
import type { Page, PageRequest } from "../../src/lib/paging.ts";
import type { Change, Repositories, Store } from "../../src/store/ports.ts";
import { aServer, aTool, anAgent } from "../harness/entities.ts";

const UNICODE = "Zoë 🦊 日本語 \u202Eabc\u200B \"quoted\" 'single' \\ %_";
const LONG = "ü".repeat(10_000);
const FIRST: PageRequest = { limit: 50 };

interface Subject {
  store(): Store;
  /** What listeners heard since the last question. */
  changes(): readonly Change[];
}

/** What every store promises of servers and agents. */
export function fleetConformance(subject: Subject): void {
  const write = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().transaction(work);
  const read = <T>(work: (repositories: Repositories) => Promise<T>) => subject.store().read(work);

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
      await expect(write(({ servers }) => servers.save({ ...two, name: "github", version: 2 }))).rejects.toMatchObject(
        taken,
      );
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
      subject.changes();
      await write(({ servers }) => servers.delete(server.id));
      expect(await read(({ servers }) => servers.find(server.id))).toBeUndefined();
      expect(await read(({ servers }) => servers.tools(server.id))).toEqual([]);
      expect(await read(({ servers }) => servers.healthHistory(server.id, 10))).toEqual([]);
      expect((await read(({ agents }) => agents.get(agent.id))).assignments).toEqual([]);
      expect(subject.changes()).toEqual([
        { kind: "server", id: server.id },
        { kind: "agent", id: agent.id },
      ]);
      await expect(write(({ servers }) => servers.delete(server.id))).rejects.toMatchObject({ code: "not_found" });
    });

    test("keep the last fifty checks of their health, without a new version", async () => {
      const server = aServer();
      await write(async ({ servers }) => {
        await servers.insert(server);
        for (let checkedAt = 1; checkedAt <= 60; checkedAt += 1) await servers.saveHealth(server.id, health(checkedAt));
      });
      const history = await read(({ servers }) => servers.healthHistory(server.id, 100));
      expect(history.map((entry) => entry.checkedAt)).toEqual(Array.from({ length: 50 }, (_, index) => 60 - index));
      expect(await read(({ servers }) => servers.healthHistory(server.id, 1))).toEqual([health(60)]);
      expect(await read(({ servers }) => servers.get(server.id))).toEqual({ ...server, health: health(60) });
      await expect(write(({ servers }) => servers.saveHealth(newId(), health(1)))).rejects.toMatchObject({
        code: "not_found",
      });
    });

    test("remember who answered at their address, until they are deleted", async () => {
      const [server, other] = [aServer(), aServer()];
      const certificate = { fingerprint: "ab", issuer: "A\0é", isSelfSigned: false, validFrom: 1, validTo: 2 };
      await write(async ({ servers }) => {
        await servers.insert(server);
        await servers.insert(other);
        await servers.savePeer(server.id, { addresses: ["10.0.0.1"], certificate: null });
        await servers.savePeer(server.id, { addresses: ["10.0.0.2"], certificate });
      });
      const peers = () => read(({ servers }) => servers.peers([server.id, other.id]));
      expect([...(await peers())]).toEqual([[server.id, { addresses: ["10.0.0.2"], certificate }]]);
      expect(await read(({ servers }) => servers.get(server.id))).toEqual(server);
      await write(({ servers }) => servers.delete(server.id));
      expect((await peers()).size).toBe(0);
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
      const names = ["a\0\u{F0000}", incompressible(TOOL_NAME_CHARACTERS_MAX)];
      const strange = names.map((name) => aTool({ serverId: server.id, name }));
      await write(({ servers }) => servers.saveTools(server.id, strange));
      expect(await read(({ servers }) => servers.tools(server.id))).toEqual(strange);
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
      subject.changes();
      await write(({ agents }) => agents.touch(agent.id, 99));
      expect(subject.changes()).toEqual([]);
      expect(await read(({ agents }) => agents.get(agent.id))).toEqual({ ...agent, lastSeenAt: 99 });
      await write(({ agents }) => agents.delete(agent.id));
      await expect(read(({ agents }) => agents.get(agent.id))).rejects.toMatchObject({ code: "not_found" });
      await expect(write(({ agents }) => agents.delete(agent.id))).rejects.toMatchObject({ code: "not_found" });
      expect(subject.changes()).toEqual([{ kind: "agent", id: agent.id }]);
      await expect(write(({ agents }) => agents.insert(anAgent({ name: "github" })))).rejects.toMatchObject({
        code: "conflict",
      });
    });
  });
}

function health(checkedAt: number): ServerHealth {
  return { state: "degraded", checkedAt, latencyMs: 0.25, error: "bad\0answer" };
}

function on(serverId: string): Assignment {
  return { serverId, tools: null, resources: null, prompts: null };
}

function idsOf(page: Page<{ readonly id: string }>): string[] {
  return page.items.map((item) => item.id);
}

/** Characters of three bytes that differ: PostgreSQL compresses what repeats before it indexes it. */
function incompressible(length: number): string {
  return Array.from(randomBytes(length), (byte, at) => String.fromCodePoint(0x4e00 + byte * 64 + (at % 64))).join("");
}
