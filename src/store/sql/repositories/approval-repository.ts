import type { Approval } from "../../../domain/approval.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { ApprovalFilter, ApprovalRepository } from "../../approval-port.ts";
import type { RepositoryContext } from "./context.ts";
import { agentsOf } from "./matching.ts";
import { countUpTo, pageById } from "./pages.ts";
import { type Noun, notFound } from "../../../domain/not-found.ts";
import { toApproval, toApprovalRow } from "./stored-approval.ts";
import { saveNext } from "./versioned.ts";

const NOUN: Noun = { singular: "approval", listedBy: "list_approvals" };

export class SqlApprovalRepository implements ApprovalRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(id: string): Promise<Approval> {
    const found = await this.find(id);
    if (found === undefined) throw notFound(NOUN, id);
    return found;
  }

  async find(id: string): Promise<Approval | undefined> {
    const row = await this.#context.db
      .selectFrom("approvals")
      .selectAll()
      .where("id", "=", id.toLowerCase())
      .executeTakeFirst();
    return row === undefined ? undefined : toApproval(row);
  }

  async list(filter: ApprovalFilter, page: PageRequest): Promise<Page<Approval>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => rows.map(toApproval) });
  }

  async findOpen(bindingHash: string, now: number): Promise<Approval | undefined> {
    const row = await this.#context.db
      .selectFrom("approvals")
      .selectAll()
      .where("bindingHash", "=", bindingHash)
      .where("status", "!=", "used")
      .where("expiresAt", ">", now)
      .orderBy("id", "desc")
      .executeTakeFirst();
    return row === undefined ? undefined : toApproval(row);
  }

  async countPending(now: number, agentId?: string): Promise<number> {
    return countUpTo(this.#context.db, this.#filtered({ status: "pending", agentId, now }));
  }

  async insert(approval: Approval): Promise<void> {
    await this.#context.db.insertInto("approvals").values(toApprovalRow(approval)).execute();
    this.#context.touch({ kind: "approval", id: approval.id });
  }

  async save(approval: Approval): Promise<void> {
    const update = this.#context.db.updateTable("approvals").set(toApprovalRow(approval));
    await saveNext(update, { noun: NOUN, entity: approval, find: (id) => this.find(id) });
    this.#context.touch({ kind: "approval", id: approval.id });
  }

  async prune(expiredBefore: number, limit: number): Promise<number> {
    const { db } = this.#context;
    const ended = db.selectFrom("approvals").select("id").where("expiresAt", "<=", expiredBefore);
    const { numDeletedRows } = await db
      .deleteFrom("approvals")
      .where("id", "in", ended.orderBy("expiresAt").limit(limit))
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }

  #filtered({ status, agentId, serverId, agentOwner, now }: ApprovalFilter) {
    let approvals = this.#context.db.selectFrom("approvals");
    if (status === "expired")
      approvals = approvals.where("status", "in", ["pending", "approved"]).where("expiresAt", "<=", now);
    else if (status !== undefined) approvals = approvals.where("status", "=", status);
    if (status === "pending" || status === "approved") approvals = approvals.where("expiresAt", ">", now);
    if (agentId !== undefined) approvals = approvals.where("agentId", "=", agentId);
    if (serverId !== undefined) approvals = approvals.where("serverId", "=", serverId);
    if (agentOwner === undefined) return approvals;
    return approvals.where("agentId", "in", agentsOf(this.#context.db, agentOwner));
  }
}
