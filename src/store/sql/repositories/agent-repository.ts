import type { ExpressionBuilder } from "kysely";
import type { Agent, AgentStatus } from "../../../domain/agent.ts";
import type { Ref } from "../../../domain/names.ts";
import { AppError } from "../../../lib/errors.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { AgentFilter, AgentRepository, ComplianceFilter } from "../../ports.ts";
import type { AgentTable, AssignmentTable, Database } from "../schema.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText, holdsId } from "./matching.ts";
import { pageById } from "./pages.ts";
import { AGENT, notFound, SERVER } from "../../../domain/not-found.ts";
import { toAgent, toAgentRow, toAssignmentRows } from "./stored-agent.ts";
import { assertNameFree, byRef, saveNext } from "./versioned.ts";

/** Six columns each stay far below SQLite's 32 766 parameters. */
const ASSIGNMENTS_PER_INSERT = 500;

export class SqlAgentRepository implements AgentRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Agent> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(AGENT, ref);
    return found;
  }

  async find(ref: Ref): Promise<Agent | undefined> {
    const rows = await byRef(this.#context.db.selectFrom("agents").selectAll(), ref).execute();
    const [agent] = await this.#withAssignments(rows);
    return agent;
  }

  async list(filter: AgentFilter, page: PageRequest): Promise<Page<Agent>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => this.#withAssignments(rows) });
  }

  async countByStatus(): Promise<Readonly<Record<AgentStatus, number>>> {
    const rows = await this.#context.db
      .selectFrom("agents")
      .select((eb) => ["status", eb.fn.countAll<number>().as("count")])
      .groupBy("status")
      .execute();
    const counts = new Map(rows.map((row) => [row.status, row.count]));
    return { active: counts.get("active") ?? 0, suspended: counts.get("suspended") ?? 0 };
  }

  async countByServer(serverIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (serverIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("agentAssignments")
      .select((eb) => ["serverId", eb.fn.countAll<number>().as("count")])
      .where("serverId", "in", serverIds)
      .groupBy("serverId")
      .execute();
    return new Map(rows.map((row) => [row.serverId, row.count]));
  }

  async countByOwner(memberIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (memberIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("agents")
      .select((eb) => ["owner", eb.fn.countAll<number>().as("count")])
      .where("owner", "in", memberIds)
      .groupBy("owner")
      .execute();
    return new Map(rows.map((row) => [row.owner ?? "", row.count]));
  }

  async insert(agent: Agent): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("agents"), AGENT, agent);
    await this.#context.db.insertInto("agents").values(toAgentRow(agent)).execute();
    await this.#insertAssignments(agent);
    this.#context.touch({ kind: "agent", id: agent.id });
  }

  async save(agent: Agent): Promise<void> {
    const { db, touch } = this.#context;
    await assertNameFree(db.selectFrom("agents"), AGENT, agent);
    const update = db.updateTable("agents").set(toAgentRow(agent));
    await saveNext(update, { noun: AGENT, entity: agent, find: (id) => this.find(id) });
    await db.deleteFrom("agentAssignments").where("agentId", "=", agent.id).execute();
    await this.#insertAssignments(agent);
    touch({ kind: "agent", id: agent.id });
  }

  async delete(id: string): Promise<void> {
    const { db, touch } = this.#context;
    const { numDeletedRows } = await db.deleteFrom("agents").where("id", "=", id).executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) throw notFound(AGENT, id);
    touch({ kind: "agent", id });
  }

  async touch(id: string, lastSeenAt: number): Promise<void> {
    await this.#context.db.updateTable("agents").set({ lastSeenAt }).where("id", "=", id).execute();
  }

  async #insertAssignments(agent: Agent): Promise<void> {
    await this.#assertServersExist(agent);
    const rows = toAssignmentRows(agent);
    for (let first = 0; first < rows.length; first += ASSIGNMENTS_PER_INSERT) {
      const some = rows.slice(first, first + ASSIGNMENTS_PER_INSERT);
      await this.#context.db.insertInto("agentAssignments").values(some).execute();
    }
  }

  async #assertServersExist({ assignments }: Agent): Promise<void> {
    const ids = assignments.map((assignment) => assignment.serverId);
    const repeated = ids.find((id, index) => ids.indexOf(id) !== index);
    if (repeated !== undefined) {
      throw new AppError("invalid_input", `server \`${repeated}\` is assigned twice; name it once`, {
        details: { field: "servers" },
      });
    }
    if (ids.length === 0) return;
    const rows = await this.#context.db.selectFrom("servers").select("id").where("id", "in", ids).execute();
    const known = new Set(rows.map((row) => row.id));
    const unknown = ids.find((id) => !known.has(id));
    if (unknown !== undefined) throw notFound(SERVER, unknown);
  }

  async #withAssignments(rows: readonly AgentTable[]): Promise<Agent[]> {
    if (rows.length === 0) return [];
    const ids = rows.map((row) => row.id);
    const assignments = await this.#context.db
      .selectFrom("agentAssignments")
      .selectAll()
      .where("agentId", "in", ids)
      .orderBy("agentId")
      .orderBy("place")
      .execute();
    const byAgent = Map.groupBy(assignments, (assignment: AssignmentTable) => assignment.agentId);
    return rows.map((row) => toAgent(row, byAgent.get(row.id) ?? []));
  }

  #filtered(filter: AgentFilter) {
    const { type, status, serverId, groupId, owner, compliance, ids, query } = filter;
    let agents = this.#context.db.selectFrom("agents");
    if (type !== undefined) agents = agents.where("type", "=", type);
    if (status !== undefined) agents = agents.where("status", "=", status);
    if (serverId !== undefined) agents = agents.where("id", "in", this.#assignedTo(serverId));
    if (groupId !== undefined) agents = agents.where((eb) => holdsId(eb.ref("groups"), groupId));
    if (owner !== undefined) agents = agents.where("owner", "=", owner);
    if (compliance !== undefined) agents = agents.where((eb) => this.#isIn(compliance, eb));
    if (ids !== undefined) agents = agents.where((eb) => (ids.length === 0 ? eb.lit(false) : eb("id", "in", ids)));
    if (query === undefined) return agents;
    return agents.where((eb) => containsText([eb.ref("name"), eb.ref("description")], query));
  }

  #isIn({ state, violatedSince, seenSince }: ComplianceFilter, eb: ExpressionBuilder<Database, "agents">) {
    const violators = this.#context.db
      .selectFrom("policyCounts")
      .select("key")
      .where("dimension", "=", "agent")
      .where("lastViolationAt", ">=", violatedSince);
    if (state === "violating") return eb("id", "in", violators);
    const isUnused = eb.or([eb("lastSeenAt", "is", null), eb("lastSeenAt", "<", seenSince)]);
    return eb.and([eb("id", "not in", violators), state === "unused" ? isUnused : eb.not(isUnused)]);
  }

  #assignedTo(serverId: string) {
    return this.#context.db.selectFrom("agentAssignments").select("agentId").where("serverId", "=", serverId);
  }
}
