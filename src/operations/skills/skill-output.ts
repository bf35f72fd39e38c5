import { z } from "zod";
import { SEVERITIES, HEALTH_STATES, SERVER_STATUSES } from "../../domain/server.ts";
import {
  type Skill,
  SKILL_RISKS,
  SKILL_STATUSES,
  SKILL_VERSION_STATES,
  type SkillVersion,
  type SkillVersionState,
  type SkillVersionSummary,
} from "../../domain/skill.ts";
import { toRfc3339 } from "../../lib/clock.ts";
import { checkSkillFiles, summarizeFiles } from "../../skills/package/skill-files.ts";
import { asWritten } from "../as-written.ts";
import type { HandleContext } from "../context.ts";
import { toPackage } from "./skill-content.ts";
import { type NeededServer, neededServers, statusOf } from "./skill-health.ts";

const VERSIONS_SHOWN = 100;
const PINS_SHOWN = 200;
const DAYS_30_MS = 30 * 24 * 60 * 60 * 1000;

const Author = z.object({ type: z.string(), id: z.string(), name: z.string() });

const Needed = z.object({
  id: z.string(),
  name: z.string().describe("What the code calls it"),
  isRegistered: z.boolean(),
  status: z.enum(SERVER_STATUSES).optional(),
  health: z.enum(HEALTH_STATES).optional(),
  missingTools: z
    .array(z.string())
    .describe("Declared tools that it does not have, or that changed and wait for review"),
});

/** What every list and answer shows of a skill. */
export const SkillSummary = z.object({
  id: z.string(),
  name: z.string(),
  description: z.string(),
  version: z.int().describe("One more with each change"),
  servingVersion: z.int().nullable().describe("The version that agents get"),
  latestVersion: z.int(),
  status: z.enum(SKILL_STATUSES),
  risk: z.enum(SKILL_RISKS),
  hasFunction: z.boolean(),
  servers: z.array(Needed),
  createdAt: z.string(),
  updatedAt: z.string(),
});

export const SkillRow = SkillSummary.extend({ usageCount: z.int(), lastUsedAt: z.string().nullable() });

export const ScanOutput = z.object({
  version: z.int(),
  state: z.enum(SKILL_VERSION_STATES).describe("`blocked` and `pending` versions do not serve"),
  risk: z.enum(SKILL_RISKS),
  evidence: z
    .array(
      z.object({
        rule: z.string(),
        severity: z.enum(SEVERITIES),
        path: z.string(),
        line: z.int().optional(),
        excerpt: z.string(),
      }),
    )
    .describe("The worst first; excerpts are text of the skill"),
});

/** A skill with everything that may be shown of one version. */
export const SkillOutput = SkillSummary.extend({
  shownVersion: z.int().describe("The version that the following fields are of"),
  state: z.enum(SKILL_VERSION_STATES),
  digest: z.string(),
  instructions: asWritten(z.string()),
  code: asWritten(z.string()).optional(),
  inputSchema: asWritten(z.record(z.string(), z.unknown())).optional(),
  outputSchema: asWritten(z.record(z.string(), z.unknown())).optional(),
  timeoutMs: z.int().optional(),
  tools: asWritten(z.array(z.string())).optional(),
  license: z.string().optional(),
  compatibility: z.string().optional(),
  metadata: asWritten(z.record(z.string(), z.string())).optional(),
  allowedTools: z.string().optional(),
  files: z.array(
    z.object({
      path: asWritten(z.string()),
      digest: z.string(),
      size: z.int(),
      isText: z.boolean(),
      base64: asWritten(z.string()).optional(),
    }),
  ),
  usageCount: z.object({
    total: z.int(),
    last30Days: z.int(),
    failures: z.int(),
    byAgent: z.array(z.object({ id: z.string(), name: z.string(), count: z.int() })),
    p50Ms: z.number().nullable(),
    p95Ms: z.number().nullable(),
  }),
  lastUsedAt: z.string().nullable(),
  pinnedBy: z
    .array(z.object({ id: z.string(), name: z.string(), version: z.int() }))
    .describe("Agents that get this version, whatever serves the others"),
  versions: z.array(
    z.object({
      version: z.int(),
      state: z.enum(SKILL_VERSION_STATES),
      risk: z.enum(SKILL_RISKS),
      digest: z.string(),
      author: Author,
      approvedBy: Author.nullable(),
      createdAt: z.string(),
    }),
  ),
});

type ShowContext = Pick<HandleContext, "repositories" | "now" | "services">;

export interface ShowOptions {
  /** Instead of the one that serves. */
  readonly version?: number | undefined;
  readonly includeFiles?: boolean | undefined;
}

/** The row of a list. */
export async function summarizeSkill(skill: Skill, context: ShowContext): Promise<z.output<typeof SkillSummary>> {
  const shown = await context.repositories.skills.getVersion(skill.id, skill.servingVersion ?? skill.latestVersion);
  return summarize(skill, shown, await neededServers(shown.content, context.repositories));
}

export async function showSkill(
  skill: Skill,
  context: ShowContext,
  { version, includeFiles = false }: ShowOptions = {},
): Promise<z.output<typeof SkillOutput>> {
  const { skills } = context.repositories;
  const shown = await skills.getVersion(skill.id, version ?? skill.servingVersion ?? skill.latestVersion);
  const usage = await skills.usage(skill.id, context.now - DAYS_30_MS);
  const { lastUsedAt, byAgent, ...counts } = usage;
  return {
    ...summarize(skill, shown, await neededServers(shown.content, context.repositories)),
    ...showContent(skill.name, shown, includeFiles),
    usageCount: { ...counts, byAgent: byAgent.map(({ id, name, runs }) => ({ id, name, count: runs })) },
    lastUsedAt: lastUsedAt === null ? null : toRfc3339(lastUsedAt),
    pinnedBy: pinsOf(skill, context).slice(0, PINS_SHOWN),
    versions: (await skills.versions(skill.id, VERSIONS_SHOWN)).map(showVersion),
  };
}

function pinsOf({ id: skillId }: Skill, { services }: ShowContext) {
  return [...services.snapshot().agentById.values()].flatMap(({ agent: { id, name }, pinBySkillId }) => {
    const version = pinBySkillId.get(skillId)?.version;
    return version === undefined ? [] : [{ id, name, version }];
  });
}

export function showScan({ version, state, risk, evidence }: SkillVersion): z.output<typeof ScanOutput> {
  return {
    version,
    state,
    risk,
    evidence: evidence.map(({ line, ...found }) => ({
      ...found,
      ...(line === undefined ? {} : { line }),
    })),
  };
}

function summarize(skill: Skill, shown: SkillVersion, needed: readonly NeededServer[]): z.output<typeof SkillSummary> {
  const latestState: SkillVersionState = shown.state;
  return {
    id: skill.id,
    name: skill.name,
    description: shown.content.description,
    version: skill.version,
    servingVersion: skill.servingVersion,
    latestVersion: skill.latestVersion,
    status: statusOf(skill, latestState, needed),
    risk: skill.risk,
    hasFunction: shown.content.function !== undefined,
    servers: needed.map((server) => ({ ...server, missingTools: [...server.missingTools] })),
    createdAt: toRfc3339(skill.createdAt),
    updatedAt: toRfc3339(skill.updatedAt),
  };
}

function showContent(name: string, { content, version, state, digest }: SkillVersion, includeFiles: boolean) {
  const { license, compatibility, metadata, allowedTools, tools, instructions } = content;
  const { code, inputSchema, outputSchema, timeoutMs } = content.function ?? {};
  const base64ByPath = new Map(content.files.map(({ path, base64 }) => [path, base64]));
  return {
    shownVersion: version,
    state,
    digest,
    instructions,
    ...given({ code, timeoutMs, license, compatibility, allowedTools }),
    ...(inputSchema === undefined ? {} : { inputSchema: { ...inputSchema } }),
    ...(outputSchema === undefined ? {} : { outputSchema: { ...outputSchema } }),
    ...(metadata === undefined ? {} : { metadata: { ...metadata } }),
    ...(tools === undefined ? {} : { tools: [...tools] }),
    files: summarizeFiles(checkSkillFiles(toPackage(name, content).files)).map((file) => ({
      ...file,
      ...(includeFiles ? { base64: base64ByPath.get(file.path) ?? "" } : {}),
    })),
  };
}

/** Without the members that are undefined. */
function given<T extends object>(members: T): { [K in keyof T]?: Exclude<T[K], undefined> };
function given(members: object): object {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

function showVersion({ version, state, risk, digest, createdBy, approvedBy, createdAt }: SkillVersionSummary) {
  return { version, state, risk, digest, author: createdBy, approvedBy, createdAt: toRfc3339(createdAt) };
}
