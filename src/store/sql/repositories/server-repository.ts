import type { Ref } from "../../../domain/names.ts";
import type { Server, ServerHealth, ServerStatus, ServerTool } from "../../../domain/server.ts";
import type { Peer } from "../../../lib/egress/peer-book.ts";
import { highestSeverity, toolRisk } from "../../../domain/tool-definition.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { ServerFilter, ServerRepository } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText, holdsId } from "./matching.ts";
import { pageById } from "./pages.ts";
import { notFound, SERVER } from "../../../domain/not-found.ts";
import {
  storedHealth,
  storedPeer,
  toServer,
  toServerRow,
  toServerTool,
  toServerToolRow,
  toStoredHealthError,
} from "./stored-server.ts";
import { assertNameFree, byRef, saveNext } from "./versioned.ts";

/** A day of checks every half hour: enough to see whether an outage is new. */
const HEALTH_KEPT = 50;

/** Rows for one insert: nine columns each stay far below SQLite's 32 766 parameters. */
const TOOLS_PER_INSERT = 500;

export class SqlServerRepository implements ServerRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Server> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(SERVER, ref);
    return found;
  }

  async find(ref: Ref): Promise<Server | undefined> {
    const row = await byRef(this.#context.db.selectFrom("servers").selectAll(), ref).executeTakeFirst();
    return row === undefined ? undefined : toServer(row);
  }

  async list(filter: ServerFilter, page: PageRequest): Promise<Page<Server>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => rows.map(toServer) });
  }

  async countByStatus(): Promise<Readonly<Record<ServerStatus, number>>> {
    const rows = await this.#context.db
      .selectFrom("servers")
      .select((eb) => ["status", eb.fn.countAll<number>().as("count")])
      .groupBy("status")
      .execute();
    const counts = new Map(rows.map((row) => [row.status, row.count]));
    const of = (status: ServerStatus) => counts.get(status) ?? 0;
    return { active: of("active"), disabled: of("disabled"), quarantined: of("quarantined") };
  }

  async insert(server: Server): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("servers"), SERVER, server);
    await this.#context.db.insertInto("servers").values(toServerRow(server)).execute();
    this.#context.touch({ kind: "server", id: server.id });
  }

  async save(server: Server): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("servers"), SERVER, server);
    const update = this.#context.db.updateTable("servers").set(toServerRow(server));
    await saveNext(update, { noun: SERVER, entity: server, find: (id) => this.find(id) });
    this.#context.touch({ kind: "server", id: server.id });
  }

  async delete(id: string): Promise<void> {
    const { db, touch } = this.#context;
    const assigned = await db.selectFrom("agentAssignments").select("agentId").where("serverId", "=", id).execute();
    const { numDeletedRows } = await db.deleteFrom("servers").where("id", "=", id).executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) throw notFound(SERVER, id);
    touch({ kind: "server", id });
    for (const { agentId } of assigned) touch({ kind: "agent", id: agentId });
  }

  async saveHealth(id: string, health: ServerHealth): Promise<void> {
    const { db, touch } = this.#context;
    const { state, checkedAt, latencyMs } = health;
    const error = toStoredHealthError(health);
    const { numUpdatedRows } = await db
      .updateTable("servers")
      .set({ healthState: state, healthCheckedAt: checkedAt, healthLatencyMs: latencyMs, healthError: error })
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw notFound(SERVER, id);
    await db.insertInto("serverHealth").values({ serverId: id, state, checkedAt, latencyMs, error }).execute();
    await this.#dropOldHealth(id);
    touch({ kind: "server", id });
  }

  async healthHistory(id: string, limit: number): Promise<readonly ServerHealth[]> {
    const rows = await this.#context.db
      .selectFrom("serverHealth")
      .selectAll()
      .where("serverId", "=", id)
      .orderBy("position", "desc")
      .limit(limit)
      .execute();
    return rows.map((row) => storedHealth.parse(row));
  }

  async peers(serverIds: readonly string[]): Promise<ReadonlyMap<string, Peer>> {
    if (serverIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("serverPeers")
      .selectAll()
      .where("serverId", "in", serverIds)
      .execute();
    return new Map(rows.map((row) => [row.serverId, storedPeer.parse(JSON.parse(row.peer))]));
  }

  async savePeer(serverId: string, peer: Peer): Promise<void> {
    const row = { serverId, peer: JSON.stringify(peer) };
    await this.#context.db
      .insertInto("serverPeers")
      .values(row)
      .onConflict((conflict) => conflict.column("serverId").doUpdateSet({ peer: row.peer }))
      .execute();
  }

  async tools(serverId: string): Promise<readonly ServerTool[]> {
    return (await this.knownTools(serverId)).filter(({ absentSince }) => absentSince === null);
  }

  async knownTools(serverId: string): Promise<readonly ServerTool[]> {
    const rows = await this.#context.db
      .selectFrom("serverTools")
      .selectAll()
      .where("serverId", "=", serverId)
      .orderBy("name")
      .execute();
    return rows.map(toServerTool);
  }

  async toolCounts(serverIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (serverIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("serverTools")
      .select((eb) => ["serverId", eb.fn.countAll<number>().as("count")])
      .where("serverId", "in", serverIds)
      .where("absentSince", "is", null)
      .groupBy("serverId")
      .execute();
    return new Map(rows.map((row) => [row.serverId, row.count]));
  }

  async saveTools(serverId: string, tools: readonly ServerTool[]): Promise<void> {
    const { db, touch } = this.#context;
    await db.deleteFrom("serverTools").where("serverId", "=", serverId).execute();
    for (let first = 0; first < tools.length; first += TOOLS_PER_INSERT) {
      const rows = tools.slice(first, first + TOOLS_PER_INSERT).map((tool) => toServerToolRow({ ...tool, serverId }));
      await db.insertInto("serverTools").values(rows).execute();
    }
    const listed = tools.filter(({ absentSince }) => absentSince === null);
    const risk = highestSeverity(listed.map((tool) => toolRisk(tool.definition)));
    await db.updateTable("servers").set({ risk }).where("id", "=", serverId).execute();
    touch({ kind: "server", id: serverId });
  }

  async #dropOldHealth(id: string): Promise<void> {
    const { db } = this.#context;
    const newestDropped = db
      .selectFrom("serverHealth")
      .select("position")
      .where("serverId", "=", id)
      .orderBy("position", "desc")
      .limit(1)
      .offset(HEALTH_KEPT);
    await db.deleteFrom("serverHealth").where("serverId", "=", id).where("position", "<=", newestDropped).execute();
  }

  #filtered(filter: ServerFilter) {
    const { status, health, transport, risk, groupId, agentId, ids, query } = filter;
    let servers = this.#context.db.selectFrom("servers");
    if (status !== undefined) servers = servers.where("status", "=", status);
    if (health !== undefined) servers = servers.where("healthState", "=", health);
    if (transport !== undefined) servers = servers.where("transport", "=", transport);
    if (risk !== undefined) servers = servers.where("risk", "=", risk);
    if (groupId !== undefined) servers = servers.where((eb) => holdsId(eb.ref("groups"), groupId));
    if (agentId !== undefined) servers = servers.where("id", "in", this.#assignedTo(agentId));
    if (ids !== undefined) servers = servers.where((eb) => (ids.length === 0 ? eb.lit(false) : eb("id", "in", ids)));
    if (query === undefined) return servers;
    return servers.where((eb) => containsText([eb.ref("name"), eb.ref("description")], query));
  }

  #assignedTo(agentId: string) {
    return this.#context.db.selectFrom("agentAssignments").select("serverId").where("agentId", "=", agentId);
  }
}
