import type { Transaction } from "kysely";
import type { AuditEvent } from "../../../domain/audit-event.ts";
import { matchesOf, type RecordedMatch } from "../../../domain/policy-matches.ts";
import type { PolicyCounts, PolicyViolations } from "../../policy-ports.ts";
import type { Database, PolicyCountTable } from "../schema.ts";
import { toStoredText } from "./stored-text.ts";

const HOUR_MS = 3_600_000;
const DAY_HOURS = 24;
const WEEK_HOURS = 7 * DAY_HOURS;
const RESOURCES_SHOWN = 10;
/** Hours behind the longest period that is asked for are dropped; the row `total` keeps their sum. */
const HOURS_KEPT = 8 * DAY_HOURS;
/** Eight columns each stay far below SQLite's 32 766 parameters. */
const ROWS_PER_INSERT = 500;

/** Adds what these events say about policies to the sums, in the transaction that appends them. Costs nothing where they say nothing. */
export async function countPolicies(db: Transaction<Database>, events: readonly AuditEvent[]): Promise<void> {
  const rows = await ofKnownPolicies(db, sumUp(events));
  for (let first = 0; first < rows.length; first += ROWS_PER_INSERT) {
    await db
      .insertInto("policyCounts")
      .values(rows.slice(first, first + ROWS_PER_INSERT))
      .onConflict((conflict) =>
        conflict.columns(["policyId", "dimension", "key"]).doUpdateSet((eb) => ({
          matches: eb("policyCounts.matches", "+", eb.ref("excluded.matches")),
          violations: eb("policyCounts.violations", "+", eb.ref("excluded.violations")),
          lastAt: eb.ref("excluded.lastAt"),
          lastViolationAt: eb.fn.coalesce("excluded.lastViolationAt", "policyCounts.lastViolationAt"),
        })),
      )
      .execute();
  }
  const newest = Math.max(...rows.map((row) => row.lastAt));
  if (rows.length > 0) await dropOldHours(db, newest);
}

async function dropOldHours(db: Transaction<Database>, now: number): Promise<void> {
  await db
    .deleteFrom("policyCounts")
    .where("dimension", "=", "hour")
    .where("key", "<", toHour(now - HOURS_KEPT * HOUR_MS))
    .execute();
}

/** Hours compare as text: each has as many digits as the other. */
function toHour(time: number): string {
  return String(Math.floor(time / HOUR_MS) * HOUR_MS);
}

function sumUp(events: readonly AuditEvent[]): PolicyCountTable[] {
  const rows = new Map<string, PolicyCountTable>();
  for (const event of events) {
    const found = matchesOf(event);
    const places = found.length === 0 ? [] : placesOf(event);
    for (const [match, place] of found.flatMap((match) => places.map((place) => [match, place] as const))) {
      const key = `${match.id} ${place.dimension} ${place.key}`;
      rows.set(key, add(rows.get(key) ?? { policyId: match.id, ...place, ...NOTHING_YET }, match, event.time));
    }
  }
  return [...rows.values()];
}

const NOTHING_YET = { matches: 0, violations: 0, lastAt: 0, lastViolationAt: null };

function add(sum: PolicyCountTable, { isMatch, isViolation }: RecordedMatch, time: number): PolicyCountTable {
  return {
    ...sum,
    matches: sum.matches + (isMatch ? 1 : 0),
    violations: sum.violations + (isViolation ? 1 : 0),
    lastAt: time,
    lastViolationAt: isViolation ? time : sum.lastViolationAt,
  };
}

function placesOf({ time, resource, actor }: AuditEvent) {
  const places = [
    { dimension: "total", key: "", name: "" },
    { dimension: "hour", key: toHour(time), name: "" },
    { dimension: "resource", key: toStoredText(resource.id), name: toStoredText(resource.name) },
  ];
  return actor.type === "agent" ? [...places, { dimension: "agent", key: actor.id, name: actor.name }] : places;
}

/** An event may settle after its policy was deleted. */
async function ofKnownPolicies(
  db: Transaction<Database>,
  rows: readonly PolicyCountTable[],
): Promise<PolicyCountTable[]> {
  if (rows.length === 0) return [];
  const ids = [...new Set(rows.map((row) => row.policyId))];
  const found = await db.selectFrom("policies").select("id").where("id", "in", ids).execute();
  const known = new Set(found.map(({ id }) => id));
  return rows.filter((row) => known.has(row.policyId));
}

/** Policies that never matched are left out. */
export async function readPolicyCounts(
  db: Transaction<Database>,
  ids: readonly string[],
  now: number,
): Promise<ReadonlyMap<string, PolicyCounts>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom("policyCounts")
    .selectAll()
    .where("policyId", "in", ids)
    .where("dimension", "in", ["total", "hour", "resource"])
    .execute();
  const byPolicy = Map.groupBy(rows, (row) => row.policyId);
  return new Map([...byPolicy].map(([id, own]) => [id, toCounts(own, now)]));
}

function toCounts(rows: readonly PolicyCountTable[], now: number): PolicyCounts {
  const total = rows.find((row) => row.dimension === "total");
  const hours = rows.filter((row) => row.dimension === "hour");
  const violationsSince = (hoursBack: number): number =>
    hours.reduce((sum, row) => (Number(row.key) > now - (hoursBack + 1) * HOUR_MS ? sum + row.violations : sum), 0);
  const byResource = rows
    .filter((row) => row.dimension === "resource" && row.violations > 0)
    .toSorted((left, right) => right.violations - left.violations)
    .slice(0, RESOURCES_SHOWN);
  return {
    matches: total?.matches ?? 0,
    violations: total?.violations ?? 0,
    violationsLast24h: violationsSince(DAY_HOURS),
    violationsLast7d: violationsSince(WEEK_HOURS),
    lastMatchedAt: total?.lastAt ?? null,
    byResource: byResource.map(({ key, name, violations }) => ({ id: key, name, violations })),
  };
}

export async function readViolations(
  db: Transaction<Database>,
  agentIds: readonly string[],
  since: number,
): Promise<ReadonlyMap<string, readonly PolicyViolations[]>> {
  if (agentIds.length === 0) return new Map();
  const rows = await db
    .selectFrom("policyCounts")
    .selectAll()
    .where("dimension", "=", "agent")
    .where("key", "in", agentIds)
    .where("lastViolationAt", ">=", since)
    .orderBy("policyId")
    .execute();
  const byAgent = Map.groupBy(rows, (row) => row.key);
  return new Map([...byAgent].map(([id, own]) => [id, own.map(toViolations)]));
}

function toViolations({ policyId, violations, lastViolationAt }: PolicyCountTable): PolicyViolations {
  return { policyId, violations, lastAt: lastViolationAt ?? 0 };
}
