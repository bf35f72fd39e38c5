import { z } from "zod";
import { isName } from "../domain/names.ts";
import { AppError } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";
import type { SkillPackage } from "../skills/package/skill-package.ts";
import { allPages, PAGE_ROWS } from "../surfaces/cli/all-pages.ts";
import { callOrThrow } from "../surfaces/cli/call-api.ts";
import { apiTarget } from "../surfaces/cli/run-operation.ts";

/** How the registry is reached, and whether anything is changed. */
export interface SyncOptions {
  readonly operations: readonly Operation[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dryRun?: boolean | undefined;
}

const Schema = z.record(z.string(), z.unknown());

const Page = z.object({
  items: z.array(
    z.object({ id: z.string(), name: z.string(), servingVersion: z.int().nullable(), latestVersion: z.int() }),
  ),
  nextCursor: z.string().optional(),
});

/** A skill as the registry keeps one of its versions. */
export type StoredSkill = z.output<typeof Stored>["skill"];

const Stored = z.object({
  skill: z.object({
    name: z.string(),
    description: z.string(),
    digest: z.string(),
    instructions: z.string(),
    license: z.string().optional(),
    compatibility: z.string().optional(),
    metadata: z.record(z.string(), z.string()).optional(),
    allowedTools: z.string().optional(),
    code: z.string().optional(),
    inputSchema: Schema.optional(),
    outputSchema: Schema.optional(),
    timeoutMs: z.int().optional(),
    tools: z.array(z.string()).optional(),
    servers: z.array(z.object({ name: z.string() })),
    files: z.array(z.object({ path: z.string(), base64: z.string().optional() })),
  }),
});

/** A skill as the list shows it. */
export type ListedSkill = z.output<typeof Page>["items"][number];

/** All skills of the registry. Throws `unavailable` where one has no name of ours: names become folders, and this may be any server. */
export async function listSkills(options: SyncOptions): Promise<readonly ListedSkill[]> {
  const found: ListedSkill[] = [];
  const read = async (cursor: string | undefined) =>
    Page.parse(await callRegistry("list_skills", { limit: PAGE_ROWS, cursor }, options));
  for await (const page of allPages(read)) {
    if (!page.items.every(({ name }) => isName(name)))
      throw new AppError(
        "unavailable",
        "the server lists a skill under what is no name; see what answers at RUNLAYER_URL",
      );
    found.push(...page.items);
  }
  return found;
}

/** One version of a skill, with the bytes of its files. */
export async function getSkill(id: string, version: number, options: SyncOptions): Promise<StoredSkill> {
  return Stored.parse(await callRegistry("get_skill", { id, version, includeFiles: true }, options)).skill;
}

/** The stored version as the package that a folder or a zip holds. */
export function toPackage(skill: StoredSkill): SkillPackage {
  const { name, description, instructions, license, compatibility, metadata, allowedTools } = skill;
  const { code, inputSchema, outputSchema, timeoutMs, tools } = skill;
  const needs = { servers: skill.servers.map((server) => server.name), tools };
  const isInNeed = needs.servers.length > 0 || tools !== undefined;
  return {
    document: { name, description, license, compatibility, metadata, allowedTools, instructions },
    files: skill.files.map(({ path, base64 = "" }) => ({ path, bytes: Buffer.from(base64, "base64") })),
    function: code === undefined ? undefined : { code, inputSchema, outputSchema, timeoutMs, ...needs },
    needs: code === undefined && isInNeed ? needs : undefined,
  };
}

/** Calls an operation of the registry. Throws its refusal. */
export async function callRegistry(
  name: string,
  input: Readonly<Record<string, unknown>>,
  { operations, env }: SyncOptions,
): Promise<unknown> {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`invariant violated: there is an operation \`${name}\``);
  return callOrThrow(operation, input, apiTarget({ env }));
}
