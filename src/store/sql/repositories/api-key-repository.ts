import { type ExpressionBuilder, sql } from "kysely";
import type { ApiKey, KeyStatus } from "../../../domain/api-key.ts";
import { type KeyUse, withUse } from "../../../domain/key-use.ts";
import type { Ref } from "../../../domain/names.ts";
import { isUuid } from "../../../lib/ids.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { ApiKeyFilter, ApiKeyRepository } from "../../ports.ts";
import type { Database } from "../schema.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText } from "./matching.ts";
import { pageById } from "./pages.ts";
import { type Noun, notFound } from "../../../domain/not-found.ts";
import { taken } from "./refusals.ts";
import { toApiKey, toApiKeyRow } from "./stored-api-key.ts";
import { saveNext } from "./versioned.ts";

const NOUN: Noun = { singular: "API key", listedBy: "list_api_keys" };

export class SqlApiKeyRepository implements ApiKeyRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(ref: Ref): Promise<ApiKey> {
    const found = await this.find(ref);
    if (found === undefined) throw notFound(NOUN, ref);
    return found;
  }

  find(ref: Ref): Promise<ApiKey | undefined> {
    return isUuid(ref) ? this.#findBy("id", ref.toLowerCase()) : this.#findBy("name", ref);
  }

  findByHash(hash: string): Promise<ApiKey | undefined> {
    return this.#findBy("hash", hash);
  }

  async list(filter: ApiKeyFilter, page: PageRequest): Promise<Page<ApiKey>> {
    const query = this.#filtered(filter).selectAll();
    return pageById(page, { db: this.#context.db, query, toItems: (rows) => rows.map(toApiKey) });
  }

  async activeOfAgent(agentId: string, now: number): Promise<readonly ApiKey[]> {
    const rows = await this.#filtered({ agentId, status: "active", now }).selectAll().orderBy("id").execute();
    return rows.map(toApiKey);
  }

  async countByMember(memberIds: readonly string[], now: number): Promise<ReadonlyMap<string, number>> {
    if (memberIds.length === 0) return new Map();
    const rows = await this.#filtered({ status: "active", now })
      .select((eb) => ["memberId", eb.fn.countAll<number>().as("count")])
      .where("memberId", "in", memberIds)
      .groupBy("memberId")
      .execute();
    return new Map(rows.map((row) => [row.memberId ?? "", row.count]));
  }

  async lastUsedByMember(memberIds: readonly string[]): Promise<ReadonlyMap<string, number>> {
    if (memberIds.length === 0) return new Map();
    const rows = await this.#context.db
      .selectFrom("apiKeys")
      .select((eb) => ["memberId", eb.fn.max<number>("lastUsedAt").as("at")])
      .where("memberId", "in", memberIds)
      .where("lastUsedAt", "is not", null)
      .groupBy("memberId")
      .execute();
    return new Map(rows.map((row) => [row.memberId ?? "", row.at]));
  }

  async counts(now: number): Promise<{ readonly active: number; readonly unused: number; readonly revoked: number }> {
    const active = this.#filtered({ status: "active", now });
    const count = sql<number>`count(*)`.as("count");
    const all = await active.select(count).executeTakeFirstOrThrow();
    const unused = await active.where("lastUsedAt", "is", null).select(count).executeTakeFirstOrThrow();
    const revoked = await this.#filtered({ status: "revoked", now }).select(count).executeTakeFirstOrThrow();
    return { active: all.count, unused: unused.count, revoked: revoked.count };
  }

  async insert(key: ApiKey): Promise<void> {
    await this.#assertFree(key);
    await this.#context.db.insertInto("apiKeys").values(toApiKeyRow(key)).execute();
    this.#context.touch({ kind: "apiKey", id: key.id });
  }

  async save(key: ApiKey): Promise<void> {
    await this.#assertFree(key);
    const update = this.#context.db.updateTable("apiKeys").set(toApiKeyRow(key));
    await saveNext(update, { noun: NOUN, entity: key, find: (id) => this.find(id) });
    this.#context.touch({ kind: "apiKey", id: key.id });
  }

  async recordUse(uses: readonly KeyUse[]): Promise<void> {
    const ids = uses.map(({ keyId }) => keyId);
    const rows =
      ids.length === 0 ? [] : await this.#context.db.selectFrom("apiKeys").selectAll().where("id", "in", ids).execute();
    const keys = new Map(rows.map((row) => [row.id, toApiKey(row)]));
    for (const use of uses) {
      const key = keys.get(use.keyId);
      if (key === undefined) continue;
      const { useHistory, ...used } = withUse(key, use);
      await this.#context.db
        .updateTable("apiKeys")
        .set({ ...used, useHistory: JSON.stringify(useHistory) })
        .where("id", "=", key.id)
        .execute();
    }
  }

  async #findBy(column: "id" | "name" | "hash", value: string): Promise<ApiKey | undefined> {
    const row = await this.#context.db.selectFrom("apiKeys").selectAll().where(column, "=", value).executeTakeFirst();
    return row === undefined ? undefined : toApiKey(row);
  }

  async #assertFree({ id, name, hash, hint }: ApiKey): Promise<void> {
    const named = await this.#findBy("name", name);
    if (named !== undefined && named.id !== id) throw taken(NOUN, "name", name);
    const same = await this.findByHash(hash);
    if (same !== undefined && same.id !== id) throw taken(NOUN, "key", hint);
  }

  #filtered(filter: ApiKeyFilter) {
    const { status, role, kind, agentId, memberId, unusedSince, query, now } = filter;
    let keys = this.#context.db.selectFrom("apiKeys");
    if (status !== undefined) keys = keys.where((eb) => hasStatus(eb, { status, now }));
    if (role !== undefined) keys = keys.where("role", "=", role);
    if (kind !== undefined) keys = keys.where("kind", "=", kind);
    if (agentId !== undefined) keys = keys.where("agentId", "=", agentId);
    if (memberId !== undefined) keys = keys.where("memberId", "=", memberId);
    if (unusedSince !== undefined) {
      keys = keys.where((eb) => eb.fn.coalesce("lastUsedAt", "createdAt"), "<", unusedSince);
    }
    if (query === undefined) return keys;
    return keys.where((eb) => containsText([eb.ref("name"), eb.ref("description")], query));
  }
}

/** The rule of `keyStatus` in SQL. */
function hasStatus(eb: ExpressionBuilder<Database, "apiKeys">, { status, now }: { status: KeyStatus; now: number }) {
  if (status === "revoked") return eb("revokedAt", "is not", null);
  const isLive =
    status === "expired" ? eb("expiresAt", "<=", now) : eb.or([eb("expiresAt", "is", null), eb("expiresAt", ">", now)]);
  return eb.and([eb("revokedAt", "is", null), isLive]);
}
