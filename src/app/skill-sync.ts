import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";
import { readSkillFolder, writeSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, type SkillPackage, toSkillFiles, toSkillPackage } from "../skills/package/skill-package.ts";
import { callOrThrow } from "../surfaces/cli/call-api.ts";

export interface SyncOptions {
  readonly operations: readonly Operation[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dryRun?: true | undefined;
  /** Of a push: delete what the folder does not have. */
  readonly prune?: true | undefined;
}

const URL_DEFAULT = "http://127.0.0.1:7420";
const PAGE_ROWS = 200;

const Schema = z.record(z.string(), z.unknown());

const Page = z.object({
  items: z.array(z.object({ id: z.string(), name: z.string(), latestVersion: z.int() })),
  nextCursor: z.string().optional(),
});

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

const Changed = z.object({ scan: z.object({ state: z.string(), risk: z.string() }) });

/** Makes the registry hold the skills of a folder. Gives a line for each skill: what was, or would be, done. */
export async function pushSkills(folder: string, options: SyncOptions): Promise<readonly string[]> {
  const local = await readSkills(folder);
  const registered = new Map((await listSkills(options)).map((skill) => [skill.name, skill.latestVersion]));
  const lines: string[] = [];
  for (const skill of local) {
    const { name } = skill.document;
    lines.push(`${name}: ${await pushSkill(skill, registered.get(name), options)}`);
  }
  const names = new Set(local.map(({ document }) => document.name));
  for (const name of registered.keys()) {
    if (names.has(name)) continue;
    if (options.prune !== true) lines.push(`${name}: only in the registry; --prune deletes it`);
    else lines.push(`${name}: ${await removeSkill(name, options)}`);
  }
  return lines;
}

/** Writes the registry's skills into a folder. Gives a line for each skill. */
export async function pullSkills(folder: string, options: SyncOptions): Promise<readonly string[]> {
  const lines: string[] = [];
  for (const { name, latestVersion } of await listSkills(options)) {
    const skill = await getSkill(name, latestVersion, options);
    const target = join(folder, name);
    const digest = await findDigest(target);
    if (digest === skill.digest) lines.push(`${name}: unchanged`);
    else {
      if (options.dryRun !== true) await writeSkillFolder(target, toSkillFiles(toPackage(skill)));
      lines.push(`${name}: ${digest === undefined ? "new" : "changed"}`);
    }
  }
  return lines;
}

/** Each folder with a SKILL.md; or the folder itself, if it has one. */
async function readSkills(folder: string): Promise<readonly SkillPackage[]> {
  if (!existsSync(folder)) throw new AppError("not_found", `there is no folder \`${folder}\``);
  const isOne = existsSync(join(folder, "SKILL.md"));
  const children = await readdir(folder, { withFileTypes: true });
  const folders = isOne
    ? [folder]
    : children.filter((child) => child.isDirectory()).map(({ name }) => join(folder, name));
  const skills = folders.filter((path) => existsSync(join(path, "SKILL.md")));
  if (skills.length === 0) throw new AppError("invalid_input", `\`${folder}\` holds no folder with a \`SKILL.md\``);
  return Promise.all(skills.map(async (path) => toSkillPackage(await readSkillFolder(path), basename(path))));
}

async function findDigest(folder: string): Promise<string | undefined> {
  if (!existsSync(join(folder, "SKILL.md"))) return undefined;
  return digestSkill(toSkillPackage(await readSkillFolder(folder)));
}

async function pushSkill(skill: SkillPackage, version: number | undefined, options: SyncOptions): Promise<string> {
  const { name } = skill.document;
  const { given, whole } = toInput(skill);
  const dryRun = options.dryRun === true ? { dryRun: true } : {};
  if (version === undefined)
    return `new${toStanding(await call("create_skill", { name, ...given, ...dryRun }, options))}`;
  const stored = await getSkill(name, version, options);
  if (stored.digest === digestSkill(skill)) return "unchanged";
  return `changed${toStanding(await call("update_skill", { id: name, ...whole, ...dryRun }, options))}`;
}

function toStanding(answer: unknown): string {
  const { state, risk } = Changed.parse(answer).scan;
  return state === "approved" ? "" : `, ${state} (risk ${risk})`;
}

async function removeSkill(name: string, options: SyncOptions): Promise<string> {
  if (options.dryRun !== true) await call("delete_skill", { id: name, confirm: true }, options);
  return "deleted";
}

async function listSkills(options: SyncOptions) {
  const found: z.output<typeof Page>["items"] = [];
  let cursor: string | undefined;
  do {
    const page = Page.parse(await call("list_skills", { limit: PAGE_ROWS, cursor }, options));
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return found;
}

async function getSkill(id: string, version: number, options: SyncOptions) {
  return Stored.parse(await call("get_skill", { id, version, includeFiles: true }, options)).skill;
}

/** What the folder says (`given`), and that with `null` for what it does not say, so that nothing older stays (`whole`). */
function toInput({ document, function: declared, files }: SkillPackage) {
  const { name: _name, ...texts } = document;
  const { servers = [], ...runs } = declared ?? {};
  const always = {
    servers,
    files: files.map(({ path, bytes }) => ({ path, base64: Buffer.from(bytes).toString("base64") })),
  };
  const optional = { ...NOTHING, ...texts, ...runs };
  const entries = Object.entries(optional);
  return {
    given: { ...Object.fromEntries(entries.filter(([, value]) => value !== undefined && value !== null)), ...always },
    whole: { ...Object.fromEntries(entries.map(([field, value]) => [field, value ?? null])), ...always },
  };
}

const NOTHING = {
  license: null,
  compatibility: null,
  metadata: null,
  allowedTools: null,
  code: null,
  inputSchema: null,
  outputSchema: null,
  tools: null,
  timeoutMs: null,
};

function toPackage(skill: z.output<typeof Stored>["skill"]): SkillPackage {
  const { name, description, instructions, license, compatibility, metadata, allowedTools } = skill;
  const { code, inputSchema, outputSchema, timeoutMs, tools } = skill;
  const servers = skill.servers.map((server) => server.name);
  return {
    document: { name, description, license, compatibility, metadata, allowedTools, instructions },
    files: skill.files.map(({ path, base64 = "" }) => ({ path, bytes: Buffer.from(base64, "base64") })),
    function: code === undefined ? undefined : { code, inputSchema, outputSchema, timeoutMs, servers, tools },
  };
}

async function call(
  name: string,
  input: Readonly<Record<string, unknown>>,
  { operations, env }: SyncOptions,
): Promise<unknown> {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`invariant violated: there is an operation \`${name}\``);
  const target = { url: env["RUNLAYER_URL"] ?? URL_DEFAULT, apiKey: env["RUNLAYER_API_KEY"] };
  return callOrThrow(operation, input, target);
}
