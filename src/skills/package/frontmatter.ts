import { isMap, isScalar, LineCounter, parseDocument } from "yaml";
import { AppError } from "../../lib/errors.ts";
import { isWellFormedDeep } from "../../lib/json-values.ts";

/** SKILL.md as the Agent Skills specification (agentskills.io/specification) has it. */
export interface SkillDocument {
  readonly name: string;
  readonly description: string;
  readonly license?: string | undefined;
  readonly compatibility?: string | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** `allowed-tools`: names divided by spaces. */
  readonly allowedTools?: string | undefined;
  /** The text below the frontmatter. */
  readonly instructions: string;
}

const NAME_LENGTH_MAX = 64;
const DESCRIPTION_LENGTH_MAX = 1024;
const COMPATIBILITY_LENGTH_MAX = 500;
const FRONTMATTER_LENGTH_MAX = 32 * 1024;
const FIELDS: ReadonlySet<string> = new Set([
  "name",
  "description",
  "license",
  "compatibility",
  "metadata",
  "allowed-tools",
]);

/** Where a fault is: SKILL.md counts lines from 1. */
interface Fault {
  readonly line: number;
  readonly problem: string;
}

/**
 * Parses and checks SKILL.md. `folder`, when given, is the folder's name, which the skill's name must equal. Throws
 * `invalid_input` with `details.problems` (each with its line): all of them, not the first.
 */
export function parseSkillDocument(text: string, folder?: string): SkillDocument {
  const source = text.replace(/^\uFEFF/, "").replaceAll("\r\n", "\n");
  const match = /^---[ \t]*\n([\s\S]*?)(?:\n|^)---[ \t]*(?:\n|$)/m.exec(source);
  if (match === null || match.index !== 0) {
    throw toError([{ line: 1, problem: "SKILL.md must begin with frontmatter between two lines `---`" }]);
  }
  const yamlText = match[1] ?? "";
  if (yamlText.length > FRONTMATTER_LENGTH_MAX) {
    throw toError([{ line: 1, problem: `the frontmatter is longer than ${FRONTMATTER_LENGTH_MAX} characters` }]);
  }
  const { fields, lines } = readFields(yamlText);
  if (!source.isWellFormed()) throw toError([{ line: 1, problem: "SKILL.md holds ill-formed Unicode" }]);
  const faults = findFaults(fields, folder).map(({ field, problem }) => ({ line: lines.get(field) ?? 2, problem }));
  if (faults.length > 0) throw toError(faults);
  return {
    name: textOf(fields, "name") ?? "",
    description: textOf(fields, "description") ?? "",
    license: textOf(fields, "license"),
    compatibility: textOf(fields, "compatibility"),
    metadata: metadataOf(fields.get("metadata")),
    allowedTools: textOf(fields, "allowed-tools"),
    instructions: source.slice(match[0].length).replace(/^\n+/, ""),
  };
}

interface Fields {
  readonly fields: ReadonlyMap<string, unknown>;
  readonly lines: ReadonlyMap<string, number>;
}

function readFields(yamlText: string): Fields {
  const counter = new LineCounter();
  // Line 1 of SKILL.md is `---`, so the first line of the YAML is line 2.
  const lineAt = (offset: number): number => counter.linePos(offset).line + 1;
  // The core schema makes no dates; aliases are off: they are how a small file becomes a huge value.
  const document = parseDocument(yamlText, {
    lineCounter: counter,
    schema: "core",
    uniqueKeys: true,
    logLevel: "silent",
  });
  const faults = document.errors.map((error) => ({
    line: lineAt(error.pos[0]),
    problem: `not valid YAML: ${error.code.toLowerCase().replaceAll("_", " ")}`,
  }));
  if (faults.length > 0) throw toError(faults);
  if (!isMap(document.contents)) throw toError([{ line: 2, problem: "the frontmatter must be fields `name: value`" }]);
  const fields = new Map<string, unknown>();
  const lines = new Map<string, number>();
  const values = toPlain(document);
  for (const { key } of document.contents.items) {
    if (!isScalar(key) || typeof key.value !== "string")
      throw toError([{ line: 2, problem: "a field name is not text" }]);
    fields.set(key.value, values.get(key.value));
    lines.set(key.value, lineAt(key.range?.[0] ?? 0));
  }
  return { fields, lines };
}

function toPlain(document: ReturnType<typeof parseDocument>): ReadonlyMap<string, unknown> {
  try {
    const value: unknown = document.toJS({ maxAliasCount: 0 });
    return new Map(typeof value === "object" && value !== null ? Object.entries(value) : []);
  } catch (error) {
    throw toError([{ line: 2, problem: "aliases (`*name`) are not allowed in the frontmatter" }], error);
  }
}

interface FieldFault {
  readonly field: string;
  readonly problem: string;
}

function findFaults(fields: ReadonlyMap<string, unknown>, folder: string | undefined): FieldFault[] {
  const unknown = [...fields.keys()]
    .filter((field) => !FIELDS.has(field))
    .map((field) => ({
      field,
      problem: `field \`${field.slice(0, 64)}\` is not in the specification; use \`metadata\``,
    }));
  return [
    ...findNameFaults(fields.get("name"), folder),
    ...findTextFaults(fields, { field: "description", lengthMax: DESCRIPTION_LENGTH_MAX, isRequired: true }),
    ...findTextFaults(fields, { field: "license", lengthMax: DESCRIPTION_LENGTH_MAX }),
    ...findTextFaults(fields, { field: "compatibility", lengthMax: COMPATIBILITY_LENGTH_MAX }),
    ...findTextFaults(fields, { field: "allowed-tools", lengthMax: FRONTMATTER_LENGTH_MAX }),
    ...findMetadataFaults(fields),
    ...findIllFormed(fields),
    ...unknown,
  ];
}

function findNameFaults(name: unknown, folder: string | undefined): FieldFault[] {
  if (typeof name !== "string" || name === "") return nameFault("`name` is missing; write `name: my-skill`");
  if (name.length > NAME_LENGTH_MAX) return nameFault(`\`name\` is longer than ${NAME_LENGTH_MAX} characters`);
  if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name)) {
    return nameFault("`name` may hold a-z, 0-9 and single hyphens between them");
  }
  if (folder !== undefined && folder !== name) return nameFault(`\`name\` must equal the folder's name \`${folder}\``);
  return [];
}

function nameFault(problem: string): FieldFault[] {
  return [{ field: "name", problem }];
}

interface TextRule {
  readonly field: string;
  readonly lengthMax: number;
  readonly isRequired?: boolean;
}

function findTextFaults(
  fields: ReadonlyMap<string, unknown>,
  { field, lengthMax, isRequired }: TextRule,
): FieldFault[] {
  const value = fields.get(field);
  const fault = (problem: string): FieldFault[] => [{ field, problem }];
  if (value === undefined) return isRequired === true ? fault(`\`${field}\` is missing`) : [];
  if (typeof value !== "string" || value.trim() === "") return fault(`\`${field}\` must be text`);
  return value.length > lengthMax ? fault(`\`${field}\` is longer than ${lengthMax} characters`) : [];
}

function findMetadataFaults(fields: ReadonlyMap<string, unknown>): FieldFault[] {
  const value = fields.get("metadata");
  if (value === undefined || metadataOf(value) !== undefined) return [];
  return [{ field: "metadata", problem: "`metadata` must be names with text values; put values into quotes" }];
}

/** YAML can write half of a surrogate pair (`\ud800`), which no UTF-8 and no digest can hold. */
function findIllFormed(fields: ReadonlyMap<string, unknown>): FieldFault[] {
  return [...fields].flatMap(([field, value]) =>
    isWellFormedDeep(value) ? [] : [{ field, problem: `\`${field.slice(0, 64)}\` holds ill-formed Unicode` }],
  );
}

function metadataOf(value: unknown): Readonly<Record<string, string>> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const entries = Object.entries(value);
  const texts = entries.filter((entry): entry is [string, string] => typeof entry[1] === "string");
  return texts.length === entries.length ? Object.fromEntries(texts) : undefined;
}

function textOf(fields: ReadonlyMap<string, unknown>, field: string): string | undefined {
  const value = fields.get(field);
  return typeof value === "string" ? value : undefined;
}

function toError(problems: readonly Fault[], cause?: unknown): AppError {
  const [first] = problems;
  const message = `SKILL.md line ${first?.line ?? 1}: ${first?.problem ?? "cannot be read"}`;
  return new AppError("invalid_input", message, { details: { problems }, cause });
}
