import { readdirSync, readFileSync, statSync } from "node:fs";
import { basename, dirname, extname, join } from "node:path";
import { parse, YAMLParseError } from "yaml";
import { z } from "zod";
import { AppError } from "../../../lib/errors.ts";
import { parseInput } from "../../../operations/parse-input.ts";
import { refuseLiteralSecrets, resolveReferences, type Environment } from "./references.ts";

const FILE_BYTES_MAX = 8 * 1024 * 1024;
const KINDS = ["servers", "agents", "policies"] as const;
const EXTENSIONS: ReadonlySet<string> = new Set([".yaml", ".yml", ".json", ".cedar"]);

const Entry = z.looseObject({ name: z.string() });
const File = z.strictObject({
  settings: z.record(z.string(), z.unknown()).optional(),
  groups: z.array(z.string()).optional(),
  servers: z.array(Entry).optional(),
  agents: z.array(Entry).optional(),
  policies: z.array(Entry).optional(),
});

type File = z.output<typeof File>;

/**
 * The configuration in a file, or in all files of a folder and its subfolders: YAML or JSON, and `NAME.cedar` for the policy NAME.
 * References are resolved here, on the caller's machine. Throws `invalid_input` that names file and place.
 */
export function readConfiguration(path: string, env: Environment): Readonly<Record<string, unknown>> {
  const files = filesAt(path).map((file) => readOne(file, env));
  const merged: Record<string, unknown> = {};
  for (const kind of KINDS) {
    const entries = files.flatMap((file) => file[kind] ?? []);
    if (files.some((file) => file[kind] !== undefined)) merged[kind] = kind === "policies" ? joined(entries) : entries;
  }
  const groups = files.flatMap((file) => file.groups ?? []);
  if (groups.length > 0) merged["groups"] = [...new Set(groups)];
  const settings = files.flatMap((file) => Object.entries(file.settings ?? {}));
  if (settings.length > 0) merged["settings"] = withoutRepeats(settings);
  return merged;
}

function filesAt(path: string): readonly string[] {
  if (!statOf(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && EXTENSIONS.has(extname(entry.name)))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted((left, right) => (left < right ? -1 : 1));
}

function readOne(path: string, env: Environment): File {
  if (statOf(path).size > FILE_BYTES_MAX) throw fault(path, `is larger than ${FILE_BYTES_MAX} bytes`);
  const text = readFileSync(path, "utf8");
  if (extname(path) === ".cedar") return { policies: [{ name: basename(path, ".cedar"), cedar: text }] };
  const file = parseFile(path, parseText(path, text) ?? {});
  for (const server of file.servers ?? []) refuseLiteralSecrets(server, path);
  return File.parse(resolveReferences(file, { env, folder: dirname(path), path }));
}

function parseFile(path: string, value: unknown): File {
  try {
    return parseInput(File, value);
  } catch (error) {
    if (error instanceof AppError) throw fault(path, error.message);
    throw error;
  }
}

function parseText(path: string, text: string): unknown {
  try {
    // JSON is YAML. Few aliases: a file must not grow beyond what was read.
    const value: unknown = parse(text, { maxAliasCount: 100, uniqueKeys: true });
    return value;
  } catch (error) {
    if (error instanceof YAMLParseError || error instanceof ReferenceError)
      throw fault(path, error.message.split("\n")[0] ?? "is not YAML");
    throw error;
  }
}

/** `NAME.cedar` holds the rule of a policy whose other fields may stand in another file. */
function joined(entries: readonly z.output<typeof Entry>[]): readonly z.output<typeof Entry>[] {
  const byName = new Map<string, z.output<typeof Entry>[]>();
  for (const entry of entries) byName.set(entry.name, [...(byName.get(entry.name) ?? []), entry]);
  return [...byName.values()].flatMap((same) => {
    const [first, second] = same;
    const isPair =
      second !== undefined && same.length === 2 && (first?.["cedar"] === undefined) !== (second["cedar"] === undefined);
    return isPair && first !== undefined ? [{ ...first, ...second }] : same;
  });
}

function withoutRepeats(settings: readonly (readonly [string, unknown])[]): Readonly<Record<string, unknown>> {
  const names = settings.map(([name]) => name);
  const repeated = names.find((name, index) => names.indexOf(name) !== index);
  if (repeated === undefined) return Object.fromEntries(settings);
  throw new AppError("invalid_input", `the setting \`${repeated}\` stands in two files; keep one`);
}

function statOf(path: string) {
  const found = statSync(path, { throwIfNoEntry: false });
  if (found === undefined) throw fault(path, "does not exist");
  return found;
}

function fault(path: string, message: string): AppError {
  return new AppError("invalid_input", `\`${path}\`: ${message}`);
}
