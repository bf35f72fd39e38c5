import type { Ref } from "../../../domain/names.ts";
import type { Policy, PolicyMode } from "../../../domain/policy.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { PolicyCounts, PolicyFilter, PolicyRepository, PolicyViolations } from "../../policy-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText, holdsId } from "./matching.ts";
import { countUpTo, toPage } from "./pages.ts";
import { readPolicyCounts, readViolations } from "./policy-counting.ts";
import { notFound, POLICY } from "../../../domain/not-found.ts";
import { staleSave, taken } from "./refusals.ts";
import { toPolicy, toPolicyRow } from "./stored-policy.ts";

/** Alternatives in one statement; both databases take many more. */
const KEYS_PER_QUERY = 100;

export class SqlPolicyRepository implements PolicyRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<Policy> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(POLICY, ref);
    return found;
  }

  async find(ref: Ref): Promise<Policy | undefined> {
    const policies = this.#context.db.selectFrom("policies").selectAll();
    const found = isUuid(ref) ? policies.where("id", "=", ref.toLowerCase()) : policies.where("name", "=", ref);
    const row = await found.executeTakeFirst();
    return row === undefined ? undefined : toPolicy(row);
  }

  async list(filter: PolicyFilter, page: PageRequest): Promise<Page<Policy>> {
    let query = this.#filtered(filter).selectAll();
    if (page.after !== undefined) query = query.where("id", ">", page.after);
    const rows = await query
      .orderBy("id")
      .limit(page.limit + 1)
      .execute();
    return toPage(page, {
      items: rows.map(toPolicy),
      count: await countUpTo(this.#context.db, this.#filtered(filter)),
      keyOf: (policy) => policy.id,
    });
  }

  async countByMode(): Promise<Readonly<Record<PolicyMode, number>>> {
    const rows = await this.#context.db
      .selectFrom("policies")
      .select((eb) => ["mode", eb.fn.countAll<number>().as("count")])
      .groupBy("mode")
      .execute();
    const counts = new Map(rows.map((row) => [row.mode, row.count]));
    const of = (mode: PolicyMode) => counts.get(mode) ?? 0;
    return { enforce: of("enforce"), monitor: of("monitor"), disabled: of("disabled") };
  }

  async mentioning(keys: readonly string[]): Promise<readonly Policy[]> {
    const found = new Map<string, Policy>();
    for (let first = 0; first < keys.length; first += KEYS_PER_QUERY) {
      const some = keys.slice(first, first + KEYS_PER_QUERY);
      const rows = await this.#context.db
        .selectFrom("policies")
        .selectAll()
        .where((eb) => eb.or(some.map((key) => holdsId(eb.ref("mentions"), key))))
        .orderBy("id")
        .execute();
      for (const row of rows) found.set(row.id, toPolicy(row));
    }
    return [...found.values()];
  }

  async insert(policy: Policy): Promise<void> {
    await this.#assertFree(policy);
    await this.#context.db.insertInto("policies").values(toPolicyRow(policy)).execute();
    this.#context.touch({ kind: "policy", id: policy.id });
  }

  async save(policy: Policy): Promise<void> {
    await this.#assertFree(policy);
    const { numUpdatedRows } = await this.#context.db
      .updateTable("policies")
      .set(toPolicyRow(policy))
      .where("id", "=", policy.id)
      .where("version", "=", policy.version - 1)
      .executeTakeFirstOrThrow();
    if (numUpdatedRows === 0n) throw staleSave(POLICY, policy, (await this.find(policy.id))?.version);
    this.#context.touch({ kind: "policy", id: policy.id });
  }

  async delete(id: string): Promise<void> {
    const { numDeletedRows } = await this.#context.db
      .deleteFrom("policies")
      .where("id", "=", id)
      .executeTakeFirstOrThrow();
    if (numDeletedRows === 0n) throw notFound(POLICY, id);
    this.#context.touch({ kind: "policy", id });
  }

  async counts(ids: readonly string[], now: number): Promise<ReadonlyMap<string, PolicyCounts>> {
    return readPolicyCounts(this.#context.db, ids, now);
  }

  async violationsOf(
    agentIds: readonly string[],
    since: number,
  ): Promise<ReadonlyMap<string, readonly PolicyViolations[]>> {
    return readViolations(this.#context.db, agentIds, since);
  }

  async #assertFree({ id, name }: Policy): Promise<void> {
    const holder = await this.#context.db
      .selectFrom("policies")
      .select("id")
      .where("name", "=", name)
      .executeTakeFirst();
    if (holder !== undefined && holder.id !== id) throw taken(POLICY, "name", name);
  }

  #filtered({ effect, mode, mention, ids, query }: PolicyFilter) {
    let policies = this.#context.db.selectFrom("policies");
    if (effect !== undefined) policies = policies.where("effect", "=", effect);
    if (mode !== undefined) policies = policies.where("mode", "=", mode);
    if (mention !== undefined) policies = policies.where((eb) => holdsId(eb.ref("mentions"), mention));
    if (ids !== undefined) policies = policies.where((eb) => (ids.length === 0 ? eb.lit(false) : eb("id", "in", ids)));
    if (query === undefined) return policies;
    return policies.where((eb) => containsText([eb.ref("name"), eb.ref("description")], query));
  }
}
