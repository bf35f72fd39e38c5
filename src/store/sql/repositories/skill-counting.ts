import type { Transaction } from "kysely";
import { z } from "zod";
import type { AuditEvent } from "../../../domain/audit-event.ts";
import type { SkillUsage } from "../../../domain/skill.ts";
import type { Database } from "../schema.ts";
import type { SkillRunTable } from "../skill-tables.ts";
import { storedForeignText } from "./foreign-text.ts";
import { toStoredText } from "./stored-text.ts";

/** Seven columns each stay far below SQLite's 32 766 parameters. */
const ROWS_PER_INSERT = 500;
const AGENTS_SHOWN = 200;
/** The runs that the percentiles are of: enough for a steady p95, few enough to be read at once. */
const DURATIONS_MAX = 1000;

/** Notes the runs of skills among these events, in the transaction that appends them. */
export async function countSkillRuns(db: Transaction<Database>, events: readonly AuditEvent[]): Promise<void> {
  const runs = events.filter(isRun).map(toRow);
  if (runs.length === 0) return;
  const ids = [...new Set(runs.map(({ skillId }) => skillId))];
  const known = await db.selectFrom("skills").select("id").where("id", "in", ids).execute();
  // A run can end after its skill was deleted.
  const isKnown = new Set(known.map(({ id }) => id));
  const rows = runs.filter(({ skillId }) => isKnown.has(skillId));
  for (let first = 0; first < rows.length; first += ROWS_PER_INSERT)
    await db
      .insertInto("skillRuns")
      .values(rows.slice(first, first + ROWS_PER_INSERT))
      .onConflict((conflict) => conflict.column("eventId").doNothing())
      .execute();
}

/** What was refused did not run, and a dry run is no use of the skill. */
function isRun({ action, outcome, details }: AuditEvent): boolean {
  return action === "skill.run" && (outcome === "success" || outcome === "error") && details["isDryRun"] !== true;
}

const NamedAgent = z.object({ id: z.string(), name: z.string() });

function toRow(event: AuditEvent): SkillRunTable {
  const { actor, details, resource, time, outcome, durationMs } = event;
  // A trial run of an administrator names the agent that it ran as.
  const named = NamedAgent.safeParse(details["agent"]);
  const agent = actor.type === "agent" ? actor : named.success ? named.data : undefined;
  return {
    eventId: event.id,
    skillId: resource.id,
    agentId: agent?.id ?? null,
    agentName: agent === undefined ? null : toStoredText(agent.name),
    time,
    isFailure: outcome === "error" ? 1 : 0,
    durationMs: durationMs ?? null,
  };
}

export async function readUsage(db: Transaction<Database>, skillId: string, since: number): Promise<SkillUsage> {
  const runs = db.selectFrom("skillRuns").where("skillId", "=", skillId);
  const sums = await runs
    .select((eb) => [
      eb.fn.countAll<number>().as("total"),
      eb.fn.max("time").as("lastUsedAt"),
      eb.fn.sum<number | null>("isFailure").as("failures"),
    ])
    .executeTakeFirstOrThrow();
  const recent = await runs
    .where("time", ">=", since)
    .select((eb) => eb.fn.countAll<number>().as("count"))
    .executeTakeFirstOrThrow();
  const byAgent = await runs
    .where("agentId", "is not", null)
    .select((eb) => ["agentId", eb.fn.max("agentName").as("name"), eb.fn.countAll<number>().as("runs")])
    .groupBy("agentId")
    .orderBy("runs", "desc")
    .limit(AGENTS_SHOWN)
    .execute();
  const newest = await runs.select("durationMs").orderBy("time", "desc").limit(DURATIONS_MAX).execute();
  const durations = newest.flatMap(({ durationMs }) => durationMs ?? []).toSorted((left, right) => left - right);
  return {
    total: sums.total,
    last30Days: recent.count,
    failures: sums.failures ?? 0,
    byAgent: byAgent.map(({ agentId, name, runs: count }) => ({
      id: agentId ?? "",
      name: name === null ? "" : storedForeignText.parse(name),
      runs: count,
    })),
    p50Ms: percentile(durations, 0.5),
    p95Ms: percentile(durations, 0.95),
    // An aggregate of no rows is null, whatever the column allows.
    lastUsedAt: sums.total === 0 ? null : sums.lastUsedAt,
  };
}

function percentile(sorted: readonly number[], share: number): number | null {
  return sorted[Math.ceil(sorted.length * share) - 1] ?? null;
}
