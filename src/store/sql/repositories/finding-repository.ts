import type { ExpressionBuilder } from "kysely";
import type { Finding, FindingChange, FindingStatus } from "../../../domain/finding.ts";
import { SEVERITIES, type Severity } from "../../../domain/server.ts";
import type { Page, PageRequest } from "../../../lib/paging.ts";
import type { FindingFilter, FindingRepository } from "../../sweep-ports.ts";
import type { Database } from "../schema.ts";
import type { RepositoryContext } from "./context.ts";
import { containsText } from "./matching.ts";
import { countUpTo, toPage } from "./pages.ts";
import { type Noun, notFound } from "../../../domain/not-found.ts";
import { toFinding, toFindingRow } from "./stored-sweep.ts";
import { saveNext } from "./versioned.ts";

const NOUN: Noun = { singular: "finding", listedBy: "get_scan_results" };

/** A dozen columns each stay far below SQLite's 32 766 parameters. */
const ROWS_PER_STATEMENT = 500;
/** Bodies are large: a statement of so many takes few ms. */
const FINDINGS_PER_INSERT = 50;

const STORED = ["body", "lastSeenAt"] as const;

export class SqlFindingRepository implements FindingRepository {
  readonly #context: RepositoryContext;

  constructor(context: RepositoryContext) {
    this.#context = context;
  }

  async get(id: string): Promise<Finding> {
    const found = await this.#find(id);
    if (found === undefined) throw notFound(NOUN, id);
    return found;
  }

  async unresolvedKeys(): Promise<readonly string[]> {
    const rows = await this.#context.db
      .selectFrom("findings")
      .select("key")
      .where("status", "!=", "resolved")
      .orderBy("key")
      .execute();
    return rows.map(({ key }) => key);
  }

  async findByKeys(keys: readonly string[]): Promise<readonly Finding[]> {
    const found: Finding[] = [];
    for (const some of chunks(keys, ROWS_PER_STATEMENT)) {
      const query = this.#context.db.selectFrom("findings").select(STORED).where("key", "in", some);
      found.push(...(await query.execute()).map(toFinding));
    }
    return found;
  }

  async list(filter: FindingFilter, page: PageRequest): Promise<Page<Finding>> {
    let query = this.#filtered(filter).select(STORED);
    if (page.after !== undefined) {
      const [rank = "", id = ""] = page.after.split(":");
      query = query.where((eb) =>
        eb.or([
          eb("severityRank", ">", Number(rank)),
          eb.and([eb("severityRank", "=", Number(rank)), eb("id", ">", id)]),
        ]),
      );
    }
    const rows = await query
      .orderBy("severityRank")
      .orderBy("id")
      .limit(page.limit + 1)
      .execute();
    return toPage(page, {
      items: rows.map(toFinding),
      count: await countUpTo(this.#context.db, this.#filtered(filter)),
      keyOf: ({ severity, id }) => `${SEVERITIES.indexOf(severity)}:${id}`,
    });
  }

  async countBySeverity(now: number): Promise<Readonly<Record<Severity, number>>> {
    const rows = await this.#filtered({ status: "open", now })
      .select((eb) => ["severityRank", eb.fn.countAll<number>().as("count")])
      .groupBy("severityRank")
      .execute();
    const counts = new Map(rows.map(({ severityRank, count }) => [SEVERITIES[severityRank], count]));
    const [critical, high, medium, low, info] = SEVERITIES.map((severity) => counts.get(severity) ?? 0);
    return { critical: critical ?? 0, high: high ?? 0, medium: medium ?? 0, low: low ?? 0, info: info ?? 0 };
  }

  async countByServer(serverIds: readonly string[], now: number): Promise<ReadonlyMap<string, number>> {
    if (serverIds.length === 0) return new Map();
    const rows = await this.#filtered({ status: "open", now })
      .select((eb) => ["serverId", eb.fn.countAll<number>().as("count")])
      .where("serverId", "in", serverIds)
      .groupBy("serverId")
      .execute();
    return new Map(rows.map(({ serverId, count }) => [serverId ?? "", count]));
  }

  async insert(findings: readonly Finding[]): Promise<void> {
    for (const some of chunks(findings, FINDINGS_PER_INSERT)) {
      await this.#context.db.insertInto("findings").values(some.map(toFindingRow)).execute();
    }
  }

  async save(finding: Finding): Promise<void> {
    const update = this.#context.db.updateTable("findings").set(toChangedRow(finding));
    await saveNext(update, { noun: NOUN, entity: finding, find: (id) => this.#find(id) });
  }

  async saveSeen(finding: Finding): Promise<void> {
    await this.#context.db.updateTable("findings").set(toChangedRow(finding)).where("id", "=", finding.id).execute();
  }

  async saveLastSeen(ids: readonly string[], at: number): Promise<void> {
    for (const some of chunks(ids, ROWS_PER_STATEMENT)) {
      await this.#context.db.updateTable("findings").set({ lastSeenAt: at }).where("id", "in", some).execute();
    }
  }

  async record(
    scanId: string,
    changes: readonly { readonly findingId: string; readonly change: FindingChange }[],
  ): Promise<void> {
    for (const some of chunks(changes, ROWS_PER_STATEMENT)) {
      const rows = some.map((change) => ({ scanId, ...change }));
      await this.#context.db.insertInto("scanFindings").values(rows).execute();
    }
    if (changes.some(({ change }) => change === "new")) this.#context.touch({ kind: "scan", id: scanId });
  }

  async dropForgotten(limit: number): Promise<number> {
    const forgotten = this.#context.db
      .selectFrom("findings")
      .select("id")
      .where("status", "=", "resolved")
      .where((eb) =>
        eb.not(
          eb.exists(
            eb.selectFrom("scanFindings").select("change").whereRef("scanFindings.findingId", "=", "findings.id"),
          ),
        ),
      )
      .limit(limit);
    const { numDeletedRows } = await this.#context.db
      .deleteFrom("findings")
      .where("id", "in", forgotten)
      .executeTakeFirstOrThrow();
    return Number(numDeletedRows);
  }

  async #find(id: string): Promise<Finding | undefined> {
    const row = await this.#context.db.selectFrom("findings").select(STORED).where("id", "=", id).executeTakeFirst();
    return row === undefined ? undefined : toFinding(row);
  }

  #filtered({ kind, severity, status, scanId, change, device, query, now }: FindingFilter) {
    let findings = this.#context.db.selectFrom("findings").where((eb) => hasStatus(eb, { status, now }));
    if (kind !== undefined) findings = findings.where("kind", "=", kind);
    if (severity !== undefined) findings = findings.where("severityRank", "=", SEVERITIES.indexOf(severity));
    if (scanId !== undefined) {
      findings = findings.where("id", "in", (eb) => {
        const said = eb.selectFrom("scanFindings").select("findingId").where("scanId", "=", scanId);
        return change === undefined ? said : said.where("change", "=", change);
      });
    }
    if (device !== undefined) {
      findings = findings.where((eb) => containsText([eb.ref("deviceNames")], `\n${device}\n`));
    }
    return query === undefined ? findings : findings.where((eb) => containsText([eb.ref("searchText")], query));
  }
}

/** The rule of `findingStatus` in SQL. */
function hasStatus(
  eb: ExpressionBuilder<Database, "findings">,
  { status, now }: { status: FindingStatus | undefined; now: number },
) {
  if (status === undefined) return eb("status", "!=", "resolved");
  const isOver = eb.and([eb("status", "=", "suppressed"), eb("suppressedUntil", "<=", now)]);
  if (status === "open") return eb.or([eb("status", "=", "open"), isOver]);
  if (status !== "suppressed") return eb("status", "=", status);
  return eb.and([
    eb("status", "=", "suppressed"),
    eb.or([eb("suppressedUntil", "is", null), eb("suppressedUntil", ">", now)]),
  ]);
}

/** Id and key never change: to write the id again would make the database look for rows that refer to it. */
function toChangedRow(finding: Finding) {
  const { id: _id, key: _key, ...changed } = toFindingRow(finding);
  return changed;
}

function chunks<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_chunk, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}
