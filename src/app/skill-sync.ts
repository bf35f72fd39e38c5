import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { z } from "zod";
import { AppError, type ErrorCode } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";
import { PACKAGE_LIMITS, packageTooLarge, type SkillFile } from "../skills/package/skill-files.ts";
import { readSkillFolder, writeSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, type SkillPackage, toSkillFiles, toSkillPackage } from "../skills/package/skill-package.ts";
import { readSkillZip, writeSkillZip } from "../skills/package/skill-zip.ts";
import { callOrThrow } from "../surfaces/cli/call-api.ts";
import { apiTarget } from "../surfaces/cli/run-operation.ts";
import type { SkillChange } from "./skill-change.ts";

export interface SyncOptions {
  readonly operations: readonly Operation[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly dryRun?: boolean | undefined;
  /** Of a pull: a zip for each skill instead of a folder. */
  readonly zip?: true | undefined;
  /** Of a push: delete what the folder does not have. */
  readonly prune?: true | undefined;
}

const PAGE_ROWS = 200;

const Schema = z.record(z.string(), z.unknown());

const Page = z.object({
  items: z.array(
    z.object({ id: z.string(), name: z.string(), servingVersion: z.int().nullable(), latestVersion: z.int() }),
  ),
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

/** What a push did or would do with each skill, and why it was refused, if it was. */
export interface Pushed {
  readonly changes: readonly SkillChange[];
  readonly refusal: AppError | undefined;
}

/** Makes the registry hold the skills of a folder, or the one of a zip: all of them, or none where one is refused. */
export async function pushSkills(source: string, options: SyncOptions): Promise<Pushed> {
  const local = await readSource(source);
  const registered = new Map((await listSkills(options)).map((skill) => [skill.name, skill.latestVersion]));
  const checked: Checked[] = [];
  for (const { path, skill } of local)
    checked.push({ path, result: skill instanceof AppError ? skill : await check(skill, registered, options) });
  const refusal = toRefusal(checked);
  const isDryRun = options.dryRun === true;
  if (refusal !== undefined) return { changes: isDryRun ? checked.map(toChange) : [], refusal };
  const skills = local.flatMap(({ skill }) => (skill instanceof AppError ? [] : [skill]));
  const changes = isDryRun ? checked.map(toChange) : [];
  for (const skill of isDryRun ? [] : skills) changes.push(await pushOne(skill, registered, options));
  const names = new Set(skills.map(({ document }) => document.name));
  for (const name of registered.keys()) {
    if (names.has(name)) continue;
    if (options.prune === true) await removeSkill(name, options);
    changes.push({ name, change: options.prune === true ? "deleted" : "only_in_registry" });
  }
  return { changes, refusal: undefined };
}

/** A skill of the source, or what is wrong with its files. */
interface LocalSkill {
  readonly path: string;
  readonly skill: SkillPackage | AppError;
}

interface Checked {
  readonly path: string;
  readonly result: SkillChange | AppError;
}

function check(skill: SkillPackage, registered: ReadonlyMap<string, number>, options: SyncOptions) {
  return orFault(() => pushOne(skill, registered, { ...options, dryRun: true }));
}

async function pushOne(
  skill: SkillPackage,
  registered: ReadonlyMap<string, number>,
  options: SyncOptions,
): Promise<SkillChange> {
  const { name } = skill.document;
  return { name, ...(await pushSkill(skill, registered.get(name), options)) };
}

/** The fault of one skill. Throws what would stop every skill: no answer, no valid key. */
async function orFault<Result>(work: () => Promise<Result>): Promise<Result | AppError> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && !CONCERNS_ALL.has(error.code)) return error;
    throw error;
  }
}

const CONCERNS_ALL: ReadonlySet<ErrorCode> = new Set([
  "unauthenticated",
  "rate_limited",
  "internal",
  "unavailable",
  "timeout",
]);

function toChange({ path, result }: Checked): SkillChange {
  return result instanceof AppError ? { name: path, change: "refused", message: result.message } : result;
}

function toRefusal(checked: readonly Checked[]): AppError | undefined {
  const faults = checked.flatMap(({ path, result }) => (result instanceof AppError ? [{ path, error: result }] : []));
  const codes = faults.map(({ error }) => error.code);
  // A refusal of the server counts more than a fault of a file, which the caller can see.
  const code = codes.find((one) => one !== "invalid_input" && one !== "payload_too_large") ?? codes[0];
  if (code === undefined) return undefined;
  const lines = faults.map(({ path, error }) => `\n${path}: ${error.message}`);
  return new AppError(
    code,
    `${faults.length} of ${checked.length} skills refused; nothing was pushed${lines.join("")}`,
  );
}

/** Writes the registry's skills into a folder, each as agents get it: what nobody approved is left out. Gives what changed, for each. */
export async function pullSkills(folder: string, options: SyncOptions): Promise<readonly SkillChange[]> {
  const changes: SkillChange[] = [];
  for (const { name, servingVersion, latestVersion } of await listSkills(options)) {
    if (servingVersion === null) {
      changes.push({
        name,
        change: "left_out",
        message: `version ${latestVersion} is not approved, and agents get none`,
      });
      continue;
    }
    const skill = await getSkill(name, servingVersion, options);
    const target = join(folder, options.zip === true ? `${name}.zip` : name);
    const digest = await findDigest(target);
    const isEqual = digest === skill.digest;
    if (!isEqual && options.dryRun !== true) await writeSkill(target, toSkillFiles(toPackage(skill)));
    changes.push({ name, change: isEqual ? "unchanged" : digest === undefined ? "new" : "changed" });
  }
  return changes;
}

async function readSource(source: string): Promise<readonly LocalSkill[]> {
  if (!isZip(source)) return readSkills(source);
  return [{ path: source, skill: toSkillPackage(await readZip(source)) }];
}

/** Each folder with a SKILL.md; or the folder itself, if it has one. */
async function readSkills(folder: string): Promise<readonly LocalSkill[]> {
  if (!existsSync(folder)) throw new AppError("not_found", `there is no folder \`${folder}\``);
  const isOne = existsSync(join(folder, "SKILL.md"));
  const children = await readdir(folder, { withFileTypes: true });
  const folders = isOne
    ? [folder]
    : children.filter((child) => child.isDirectory()).map(({ name }) => join(folder, name));
  const skills = folders.filter((path) => existsSync(join(path, "SKILL.md")));
  if (skills.length === 0) throw new AppError("invalid_input", `\`${folder}\` holds no folder with a \`SKILL.md\``);
  return Promise.all(
    skills.map(async (path) => ({
      path,
      skill: await orFault(async () => toSkillPackage(await readSkillFolder(path), basename(path))),
    })),
  );
}

async function findDigest(target: string): Promise<string | undefined> {
  if (!existsSync(isZip(target) ? target : join(target, "SKILL.md"))) return undefined;
  return digestSkill(toSkillPackage(isZip(target) ? await readZip(target) : await readSkillFolder(target)));
}

async function writeSkill(target: string, files: readonly SkillFile[]): Promise<void> {
  if (!isZip(target)) return writeSkillFolder(target, files);
  await mkdir(dirname(target), { recursive: true });
  await writeFile(target, writeSkillZip(files));
}

async function readZip(path: string): Promise<readonly SkillFile[]> {
  if (!existsSync(path)) throw new AppError("not_found", `there is no file \`${path}\``);
  // The size is looked at first, so that a huge file is never read.
  if ((await stat(path)).size > PACKAGE_LIMITS.totalBytes) throw packageTooLarge();
  return readSkillZip(await readFile(path));
}

function isZip(path: string): boolean {
  return path.endsWith(".zip");
}

async function pushSkill(
  skill: SkillPackage,
  version: number | undefined,
  options: SyncOptions,
): Promise<Omit<SkillChange, "name">> {
  const { name } = skill.document;
  const { given, whole } = toInput(skill);
  const dryRun = options.dryRun === true ? { dryRun: true } : {};
  if (version === undefined)
    return { change: "new", ...toStanding(await call("create_skill", { name, ...given, ...dryRun }, options)) };
  const stored = await getSkill(name, version, options);
  if (stored.digest === digestSkill(skill)) return { change: "unchanged" };
  return { change: "changed", ...toStanding(await call("update_skill", { id: name, ...whole, ...dryRun }, options)) };
}

function toStanding(answer: unknown): Pick<SkillChange, "standing"> {
  const { state, risk } = Changed.parse(answer).scan;
  return state === "approved" ? {} : { standing: { state, risk } };
}

async function removeSkill(name: string, options: SyncOptions): Promise<void> {
  if (options.dryRun !== true) await call("delete_skill", { id: name, confirm: true }, options);
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
function toInput({ document, function: declared, needs, files }: SkillPackage) {
  const { name: _name, ...texts } = document;
  const { servers = [], ...runs } = declared ?? needs ?? {};
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
  const needs = { servers: skill.servers.map((server) => server.name), tools };
  const isInNeed = needs.servers.length > 0 || tools !== undefined;
  return {
    document: { name, description, license, compatibility, metadata, allowedTools, instructions },
    files: skill.files.map(({ path, base64 = "" }) => ({ path, bytes: Buffer.from(base64, "base64") })),
    function: code === undefined ? undefined : { code, inputSchema, outputSchema, timeoutMs, ...needs },
    needs: code === undefined && isInNeed ? needs : undefined,
  };
}

async function call(
  name: string,
  input: Readonly<Record<string, unknown>>,
  { operations, env }: SyncOptions,
): Promise<unknown> {
  const operation = operations.find((candidate) => candidate.name === name);
  if (operation === undefined) throw new Error(`invariant violated: there is an operation \`${name}\``);
  return callOrThrow(operation, input, apiTarget({ env }));
}
