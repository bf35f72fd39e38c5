import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { z } from "zod";
import { AppError } from "../lib/errors.ts";
import { readSkillFolder } from "../skills/package/skill-folder.ts";
import { digestSkill, type SkillPackage, toSkillPackage } from "../skills/package/skill-package.ts";
import { isZip, readSkillZipFile } from "../skills/package/skill-zip-file.ts";
import { BODY_BYTES_MAX } from "../surfaces/request-body.ts";
import type { SkillChange } from "./skill-change.ts";
import { type Checked, orFault, type Synced, toChange, toRefusal } from "./skill-faults.ts";
import { callRegistry, getSkill, listSkills, type SyncOptions } from "./skill-registry.ts";

export interface PushOptions extends SyncOptions {
  /** Delete what the folder does not have. */
  readonly prune?: true | undefined;
}

const Changed = z.object({ scan: z.object({ state: z.string(), risk: z.string() }) });

/** Makes the registry hold the skills of a folder, or the one of a zip: all of them, or none where one is refused. */
export async function pushSkills(source: string, options: PushOptions): Promise<Synced> {
  const local = await readSource(source);
  const registered = new Map((await listSkills(options)).map((skill) => [skill.name, skill.latestVersion]));
  const checked: Checked[] = [];
  for (const { path, skill } of local)
    checked.push({ path, result: skill instanceof AppError ? skill : await check(skill, registered, options) });
  const refusal = toRefusal(checked, "nothing was pushed");
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

async function readSource(source: string): Promise<readonly LocalSkill[]> {
  if (!isZip(source)) return readSkills(source);
  return [{ path: source, skill: toSkillPackage(await readSkillZipFile(source)) }];
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

async function pushSkill(
  skill: SkillPackage,
  version: number | undefined,
  options: SyncOptions,
): Promise<Omit<SkillChange, "name">> {
  const { name } = skill.document;
  const { given, whole } = toInput(skill);
  const dryRun = options.dryRun === true ? { dryRun: true } : {};
  if (version === undefined) {
    const body = { name, ...given, ...dryRun };
    checkBody(body, skill);
    return { change: "new", ...toStanding(await callRegistry("create_skill", body, options)) };
  }
  const stored = await getSkill(name, version, options);
  if (stored.digest === digestSkill(skill)) return { change: "unchanged" };
  const body = { ...whole, ...dryRun };
  checkBody(body, skill);
  return { change: "changed", ...toStanding(await callRegistry("update_skill", { id: name, ...body }, options)) };
}

/** Enough to find what makes a skill large. */
const FILES_NAMED = 3;

/** Throws `payload_too_large` for a skill that the registry would refuse by its size, before it is sent. */
function checkBody(body: object, { files }: SkillPackage): void {
  const bytes = Buffer.byteLength(JSON.stringify(body));
  if (bytes <= BODY_BYTES_MAX) return;
  const largest = files.toSorted((left, right) => right.bytes.length - left.bytes.length).slice(0, FILES_NAMED);
  const named = largest.map((file) => `\`${file.path}\` (${file.bytes.length} bytes)`).join(", ");
  throw new AppError(
    "payload_too_large",
    `it would be sent in ${bytes} bytes, files as Base64, and the registry takes ${BODY_BYTES_MAX} at most; take out what it does not need${named === "" ? "" : `; its largest files: ${named}`}`,
  );
}

function toStanding(answer: unknown): Pick<SkillChange, "standing"> {
  const { state, risk } = Changed.parse(answer).scan;
  return state === "approved" ? {} : { standing: { state, risk } };
}

async function removeSkill(name: string, options: SyncOptions): Promise<void> {
  if (options.dryRun !== true) await callRegistry("delete_skill", { id: name, confirm: true }, options);
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
