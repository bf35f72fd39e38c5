import { createHash } from "node:crypto";
import { stringify } from "yaml";
import { toCanonicalJson } from "../../lib/canonical-json.ts";
import { AppError } from "../../lib/errors.ts";
import { isWellFormedDeep } from "../../lib/json-values.ts";
import { isDeeperThan } from "../sandbox/json-depth.ts";
import { JSON_DEPTH_MAX } from "../sandbox/limits.ts";
import { type SkillDocument, parseSkillDocument } from "./frontmatter.ts";
import { checkSkillFiles, decodeText, type SkillFile, summarizeFiles } from "./skill-files.ts";

/** A skill as it is kept and moved: document, files, and the function if it has one. */
export interface SkillPackage {
  readonly document: SkillDocument;
  /** All but SKILL.md and the function's two files. */
  readonly files: readonly SkillFile[];
  readonly function?: SkillFunction | undefined;
  /** Of a skill without a function: what its instructions use. */
  readonly needs?: SkillNeeds | undefined;
}

/** The servers that a skill is for, by name, and their tools if not all. */
export interface SkillNeeds {
  readonly servers: readonly string[];
  readonly tools?: readonly string[] | undefined;
}

/** The part of a skill that runs. In a folder: `skill.js`, and the rest in `skill.json`. */
export interface SkillFunction extends SkillNeeds {
  readonly code: string;
  readonly inputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly outputSchema?: Readonly<Record<string, unknown>> | undefined;
  readonly timeoutMs?: number | undefined;
}

const DOCUMENT = "SKILL.md";
const CODE = "skill.js";
const MANIFEST = "skill.json";
/** Made of the skill's other parts: no file of a skill has one of these names. */
export const OWN_FILES: ReadonlySet<string> = new Set([DOCUMENT, CODE, MANIFEST]);

/** Reads a skill from the files of its folder or zip. Throws `invalid_input` or `payload_too_large`. */
export function toSkillPackage(allFiles: readonly SkillFile[], folder?: string): SkillPackage {
  const files = checkSkillFiles(allFiles);
  const document = parseSkillDocument(requireText(files, DOCUMENT), folder);
  const code = findText(files, CODE);
  const manifest = findText(files, MANIFEST);
  const declared = parseManifest(manifest ?? "{}");
  return {
    document,
    files: files.filter(({ path }) => !OWN_FILES.has(path)),
    ...(code === undefined ? { needs: toNeeds(declared) } : { function: { code, ...declared } }),
  };
}

/** Undefined where nothing is needed, so that an empty manifest is none. */
function toNeeds({ servers, tools, ...runs }: Omit<SkillFunction, "code">): SkillNeeds | undefined {
  if (Object.values(runs).some((value) => value !== undefined))
    throw manifestError(`only \`servers\` and \`tools\` are of a skill without a function; add \`${CODE}\``);
  return servers.length === 0 && tools === undefined ? undefined : { servers, tools };
}

/** The files of a skill, SKILL.md included, in one order: what a folder or zip of it holds. */
export function toSkillFiles(skill: SkillPackage): readonly SkillFile[] {
  const files = [...skill.files, toFile(DOCUMENT, formatSkillDocument(skill.document))];
  if (skill.function !== undefined) {
    const { code, ...manifest } = skill.function;
    files.push(toFile(CODE, code), toManifest(manifest));
  }
  if (skill.needs !== undefined) files.push(toManifest(skill.needs));
  return checkSkillFiles(files);
}

/** `sha256:<hex>` over the canonical form of all that the skill is: equal skills have equal digests, on every machine. */
export function digestSkill(skill: SkillPackage): string {
  const canonical = toCanonicalJson({
    document: skill.document,
    files: summarizeFiles(checkSkillFiles(skill.files)).map(({ path, digest }) => ({ path, digest })),
    function: skill.function,
    needs: skill.needs,
  });
  return `sha256:${createHash("sha256").update(canonical).digest("hex")}`;
}

/** SKILL.md of a document: what `parseSkillDocument` reads back unchanged. */
export function formatSkillDocument(document: SkillDocument): string {
  const { instructions, allowedTools, ...fields } = document;
  const given = Object.entries({ ...fields, "allowed-tools": allowedTools }).filter(([, value]) => value !== undefined);
  return `---\n${stringify(Object.fromEntries(given), { lineWidth: 0 })}---\n\n${instructions}`;
}

function toManifest(manifest: object): SkillFile {
  return toFile(MANIFEST, `${JSON.stringify(manifest, undefined, 2)}\n`);
}

function toFile(path: string, text: string): SkillFile {
  return { path, bytes: Buffer.from(text) };
}

function requireText(files: readonly SkillFile[], path: string): string {
  const text = findText(files, path);
  if (text === undefined) throw new AppError("invalid_input", `the skill has no \`${path}\` in its folder`);
  return text;
}

function findText(files: readonly SkillFile[], path: string): string | undefined {
  const file = files.find((candidate) => candidate.path === path);
  if (file === undefined) return undefined;
  const text = decodeText(file.bytes);
  if (text === undefined) throw new AppError("invalid_input", `\`${path}\` is not UTF-8 text`);
  return text;
}

function parseManifest(json: string): Omit<SkillFunction, "code"> {
  const fields = toFields(parseJson(json));
  const known = new Set(["inputSchema", "outputSchema", "servers", "tools", "timeoutMs"]);
  const unknown = [...fields.keys()].find((field) => !known.has(field));
  if (unknown !== undefined) throw manifestError(`field \`${unknown.slice(0, 64)}\` is unknown`);
  return {
    inputSchema: schemaOf(fields, "inputSchema"),
    outputSchema: schemaOf(fields, "outputSchema"),
    servers: namesOf(fields, "servers") ?? [],
    tools: namesOf(fields, "tools"),
    timeoutMs: timeoutOf(fields.get("timeoutMs")),
  };
}

/** A value that a digest can be made of: neither too deep to be walked nor with text that UTF-8 cannot hold. */
function parseJson(json: string): unknown {
  const value = parseAny(json);
  if (isDeeperThan(json, JSON_DEPTH_MAX)) throw manifestError(`it nests deeper than ${JSON_DEPTH_MAX} levels`);
  if (!isWellFormedDeep(value)) throw manifestError("it holds ill-formed Unicode");
  return value;
}

function parseAny(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (error) {
    throw manifestError(error instanceof Error ? error.message.toLowerCase() : "not JSON");
  }
}

function toFields(value: unknown): ReadonlyMap<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw manifestError("it must be an object");
  return new Map(Object.entries(value));
}

function schemaOf(fields: ReadonlyMap<string, unknown>, name: string): Readonly<Record<string, unknown>> | undefined {
  const value = fields.get(name);
  return value === undefined ? undefined : Object.fromEntries(toFields(value));
}

function namesOf(fields: ReadonlyMap<string, unknown>, name: string): readonly string[] | undefined {
  const value = fields.get(name);
  if (value === undefined) return undefined;
  if (!Array.isArray(value) || value.length > 200)
    throw manifestError(`\`${name}\` must be a list of at most 200 names`);
  const names = value.filter((each): each is string => typeof each === "string");
  if (names.length !== value.length) throw manifestError(`\`${name}\` must be a list of names`);
  return names;
}

function timeoutOf(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= 1 && value <= 600_000) return value;
  throw manifestError("`timeoutMs` must be a whole number from 1 to 600000");
}

function manifestError(problem: string): AppError {
  return new AppError("invalid_input", `\`${MANIFEST}\`: ${problem}`);
}
