import type { PageRequest } from "../../../lib/paging.ts";
import type { DecisionRepository, HeldDecision } from "../../ports.ts";
import type { RepositoryContext } from "./context.ts";
import { parseDecision } from "./stored-audit-event.ts";

export class SqlDecisionRepository implements DecisionRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async hold(decisions: readonly HeldDecision[]): Promise<void> {
    if (decisions.length === 0) return;
    await this.#context.db
      .insertInto("auditDecisions")
      .values(decisions.map((decision) => ({ id: decision.id, draft: JSON.stringify(decision) })))
      .onConflict((conflict) => conflict.column("id").doNothing())
      .execute();
  }

  async held({ limit, after }: PageRequest): Promise<readonly HeldDecision[]> {
    const rows = await this.#context.db
      .selectFrom("auditDecisions")
      .select("draft")
      .where("id", ">", after ?? "")
      .orderBy("id")
      .limit(limit)
      .execute();
    return rows.map(({ draft }) => parseDecision(draft));
  }

  async release(ids: readonly string[]): Promise<readonly string[]> {
    if (ids.length === 0) return [];
    const rows = await this.#context.db.deleteFrom("auditDecisions").where("id", "in", ids).returning("id").execute();
    return rows.map(({ id }) => id);
  }
}
