import { z } from "zod";
import { READERS } from "../../domain/role.ts";
import { type Skill, SKILL_RISKS, SKILL_STATUSES } from "../../domain/skill.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import type { Page, PageRequest } from "../../lib/paging.ts";
import type { HandleContext } from "../context.ts";
import { defineOperation } from "../define-operation.ts";
import { pageInput, pageOutput, QueryField, RefField, toPageAnswer, toPageRequest } from "../fields.ts";
import { SkillRow, summarizeSkill } from "./skill-output.ts";

const Input = z.object({
  server: RefField.optional().describe("Only skills that need this server"),
  status: z.enum(SKILL_STATUSES).optional().describe("Only skills with this status"),
  risk: z.enum(SKILL_RISKS).optional().describe("Only skills with this risk"),
  query: QueryField,
  ...pageInput,
});

type SkillFilter = Parameters<HandleContext["repositories"]["skills"]["list"]>[0];
type Row = z.output<typeof SkillRow>;

const PAGE_ROWS = 200;

/** The registered skills, page by page. */
export const listSkills = defineOperation({
  name: "list_skills",
  title: "List skills",
  description:
    "Lists skills with version, servers needed, status (`degraded` where something that they need is missing), risk, how often they ran and when last, oldest first. Filter by server, status, risk or text.",
  route: "GET /skills",
  command: "skills list",
  roles: READERS,
  effect: "read",
  input: Input,
  output: pageOutput(SkillRow),
  async prepare(input, { services }) {
    await services.flushAudit();
    return async (context) => {
      const page = await findPage(input, context);
      return toPageAnswer(page, (row) => row);
    };
  },
  summarize: ({ items, total }) => `${items.length} of ${total} skills.`,
});

async function findPage(input: z.output<typeof Input>, context: HandleContext): Promise<Page<Row>> {
  const { repositories } = context;
  const { risk, query, status } = input;
  const serverId = input.server === undefined ? undefined : (await repositories.servers.get(input.server)).id;
  const filter = { risk, query, serverId };
  const request = toPageRequest(input);
  if (status !== undefined) return pageByStatus(await withStatus(filter, status, context), request);
  const page = await repositories.skills.list(filter, request);
  return { ...page, items: await showRows(page.items, context) };
}

/** A status follows from the servers as they are now, so that it is computed, not stored. */
async function withStatus(filter: SkillFilter, status: Row["status"], context: HandleContext): Promise<readonly Row[]> {
  const found: Row[] = [];
  let after: string | undefined;
  do {
    const page = await context.repositories.skills.list(filter, { limit: PAGE_ROWS, after });
    found.push(...(await showRows(page.items, context)).filter((row) => row.status === status));
    after = page.next;
  } while (after !== undefined);
  return found;
}

function pageByStatus(rows: readonly Row[], { limit, after }: PageRequest): Page<Row> {
  const behind = after === undefined ? rows : rows.filter(({ id }) => id > after);
  const items = behind.slice(0, limit);
  const last = items.at(-1);
  const isMore = behind.length > limit && last !== undefined;
  return { items, total: rows.length, ...(isMore ? { next: last.id } : {}) };
}

async function showRows(skills: readonly Skill[], context: HandleContext): Promise<Row[]> {
  const counts = await context.repositories.skills.runCounts(skills.map(({ id }) => id));
  const rows: Row[] = [];
  for (const skill of skills) {
    const count = counts.get(skill.id);
    rows.push({
      ...(await summarizeSkill(skill, context)),
      usageCount: count?.runs ?? 0,
      lastUsedAt: count === undefined ? null : toRfc3339(count.lastUsedAt),
    });
  }
  return rows;
}
