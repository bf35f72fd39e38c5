import type { Ref } from "../../../domain/names.ts";
import type { Policy, PolicyMode } from "../../../domain/policy.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { PolicyCounts, PolicyFilter, PolicyRepository, PolicyViolations } from "../../policy-ports.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText, holdsId } from "./matching.ts";
import { pageById } from "./pages.ts";
import { readPolicyCounts, readViolations } from "./policy-counting.ts";
import { notFound, POLICY } from "../../../domain/not-found.ts";
import { toPolicy, toPolicyRow } from "./stored-policy.ts";
import { assertNameFree, byRef, saveNext } from "./versioned.ts";

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
    const row = await byRef(this.#context.db.selectFrom("policies").selectAll(), ref).executeTakeFirst();
    return row === undefined ? undefined : toPolicy(row);
  }

  async list(filter: PolicyFilter, page: PageRequest): Promise<Page<Policy>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => rows.map(toPolicy) });
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
    await assertNameFree(this.#context.db.selectFrom("policies"), POLICY, policy);
    await this.#context.db.insertInto("policies").values(toPolicyRow(policy)).execute();
    this.#context.touch({ kind: "policy", id: policy.id });
  }

  async save(policy: Policy): Promise<void> {
    await assertNameFree(this.#context.db.selectFrom("policies"), POLICY, policy);
    const update = this.#context.db.updateTable("policies").set(toPolicyRow(policy));
    await saveNext(update, { noun: POLICY, entity: policy, find: (id) => this.find(id) });
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
