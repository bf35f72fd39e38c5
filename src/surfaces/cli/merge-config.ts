import { isDeepStrictEqual } from "node:util";
import { applyEdits, modify, parse as parseJson, type ParseError } from "jsonc-parser";
import { parse as parseToml, stringify as toToml } from "smol-toml";
import { AppError } from "../../lib/errors.ts";
import type { ClientConfig } from "../../operations/agents/client-config.ts";

type Table = Readonly<Record<string, unknown>>;

export interface MergeOptions {
  /** Where the text is from, for messages. */
  readonly path: string;
  /** Gateway URLs by server name: an entry that names its URL is ours. */
  readonly urls: Readonly<Record<string, string>>;
  /** Whether an entry of the same name that is somebody else's, or one that goes around the gateway, may be replaced. */
  readonly mayReplace: boolean;
  /** The server that an entry of the client goes straight to, by name; undefined where it goes elsewhere. */
  readonly directTo: (entry: unknown) => string | undefined;
}

/** An entry that goes around the gateway. */
export interface DirectEntry {
  readonly name: string;
  /** The server that it goes to, by the name that its gateway entry has. */
  readonly server: string;
}

export interface MergedConfig {
  readonly text: string;
  /** Under other names than the gateway entries; with `mayReplace` they are gone from the text. */
  readonly direct: readonly DirectEntry[];
}

const BYTE_ORDER_MARK = "\ufeff";

/**
 * Puts the servers of `config` into the text of a client's configuration and leaves everything else as it is, comments
 * included; entries that go around the gateway are taken out where they may be replaced, wherever in the file they stand. Throws `invalid_input` where the text cannot be read or changed safely, `conflict` where an entry of the same name
 * points elsewhere.
 */
export function mergeConfig(text: string, config: ClientConfig, options: MergeOptions): MergedConfig {
  const mark = text.startsWith(BYTE_ORDER_MARK) ? BYTE_ORDER_MARK : "";
  const before = text.slice(mark.length);
  if (before.trim() === "") return { text: `${mark}${config.text.trimEnd()}\n`, direct: [] };
  const format = config.format === "toml" ? TOML : JSONC;
  const tree = format.read(before, options.path);
  const servers = config.under.reduce<unknown>((table, name) => (isTable(table) ? table[name] : table), tree);
  if (servers !== undefined && !isTable(servers))
    throw unusable(options.path, `\`${config.under.join(".")}\` is no table`);
  const direct = directEntries(tree, config, options.directTo);
  let after = before;
  let expected = tree;
  for (const { path } of options.mayReplace ? direct : []) {
    after = format.remove(after, path);
    expected = takeFrom(expected, path);
  }
  for (const [name, entry] of Object.entries(config.entries)) {
    const wanted = toWanted(memberOf(servers, name), { ...options, name, entry });
    after = format.put(after, [...config.under, name], wanted);
    expected = putIn(expected, [...config.under, name], wanted);
  }
  // The editors of both formats work on text: what came out is believed only after it was read again.
  if (isDeepStrictEqual(plain(reread(after, format)), plain(expected)))
    return { text: mark + after, direct: direct.map(({ path, server }) => ({ name: path.at(-1) ?? "", server })) };
  throw unusable(options.path, "it is written in a way that cannot be extended safely");
}

interface Format {
  read(text: string, path: string): Table;
  put(text: string, path: readonly string[], value: Table): string;
  remove(text: string, path: readonly string[]): string;
}

/** What an editor made; undefined where it is not of its format any more. */
function reread(text: string, format: Format): Table | undefined {
  try {
    return format.read(text, "");
  } catch (error) {
    if (error instanceof AppError) return undefined;
    throw error;
  }
}

const JSONC: Format = {
  read(text, path) {
    const errors: ParseError[] = [];
    const tree: unknown = parseJson(text, errors, { allowTrailingComma: true });
    if (errors.length > 0 || !isTable(tree)) throw unusable(path, "it is no JSON object");
    return tree;
  },
  put: editJson,
  remove: (text, path) => editJson(text, path, undefined),
};

function editJson(text: string, path: readonly string[], value: Table | undefined): string {
  const formattingOptions = {
    insertSpaces: !/^\t/m.test(text),
    tabSize: 2,
    eol: text.includes("\r\n") ? "\r\n" : "\n",
  };
  return applyEdits(text, modify(text, [...path], value, { formattingOptions }));
}

const TOML: Format = {
  read(text, path) {
    try {
      return parseToml(text);
    } catch (error) {
      throw unusable(path, "it is no TOML", error);
    }
  },
  put(text, path, value) {
    const tree = path.reduceRight<Table>((inner, name) => ({ [name]: inner }), value);
    return `${withoutTable(text, path.join(".")).trimEnd()}\n\n${toToml(tree)}`.trimStart();
  },
  remove: (text, path) => withoutTable(text, path.join(".")),
};

/** The text without the table of this name and the ones inside it. Comments at its end may be about what follows: they stay. */
function withoutTable(text: string, name: string): string {
  const kept: string[] = [];
  let lastComments: string[] = [];
  let isInside = false;
  for (const line of text.split("\n")) {
    // A name in quotes is the same name.
    const header = /^\s*\[\[?\s*([^\]]+?)\s*\]/.exec(line)?.[1]?.replaceAll(/["']/g, "");
    if (header !== undefined) {
      isInside = header === name || header.startsWith(`${name}.`);
      if (!isInside) kept.push(...lastComments);
    }
    if (!isInside) kept.push(line);
    const isComment = /^\s*#/.test(line) || (line.trim() === "" && lastComments.length > 0);
    lastComments = isInside && isComment ? [...lastComments, line] : [];
  }
  return [...kept, ...lastComments].join("\n");
}

interface FoundEntry {
  readonly path: readonly string[];
  readonly server: string;
}

/** The entries that go around the gateway: in the table of `config`, and in those of the same name further in (`projects` of Claude Code). */
function directEntries(
  tree: Table,
  { under, entries }: ClientConfig,
  directTo: MergeOptions["directTo"],
): FoundEntry[] {
  return tablesAt(tree, under).flatMap(({ path, table }) =>
    Object.entries(table).flatMap(([name, entry]) => {
      // One that has the place of a gateway entry is that entry's concern.
      const isPut = path.length === under.length && Object.hasOwn(entries, name);
      const server = isPut ? undefined : directTo(entry);
      return server === undefined ? [] : [{ path: [...path, name], server }];
    }),
  );
}

/** The tables whose path ends like this. */
function tablesAt(tree: Table, under: readonly string[]): { path: readonly string[]; table: Table }[] {
  const servers = under.reduce<unknown>((table, name) => (isTable(table) ? memberOf(table, name) : undefined), tree);
  const inner = Object.entries(tree).flatMap(([name, member]) =>
    isTable(member) && name !== under[0]
      ? tablesAt(member, under).map(({ path, table }) => ({ path: [name, ...path], table }))
      : [],
  );
  return isTable(servers) ? [{ path: under, table: servers }, ...inner] : inner;
}

interface Wish extends MergeOptions {
  readonly name: string;
  readonly entry: Table;
}

/** What an entry becomes: ours keeps what a person added to it. */
function toWanted(existing: unknown, { name, entry, urls, path, mayReplace }: Wish): Table {
  if (existing === undefined || mayReplace) return entry;
  if (isTable(existing) && names(existing, urls[name])) return merged(existing, entry);
  throw new AppError(
    "conflict",
    `\`${path}\` already has a server \`${name}\` that is not this one; rename or remove it there, or add \`--replace\``,
  );
}

/** A server may be called `constructor`. */
function memberOf(table: Table | undefined, name: string): unknown {
  return table !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

function names(value: unknown, url: string | undefined): boolean {
  if (typeof value === "string") return value === url;
  return typeof value === "object" && value !== null && Object.values(value).some((inner) => names(inner, url));
}

function merged(existing: Table, entry: Table): Table {
  const result: Record<string, unknown> = { ...existing };
  for (const [name, value] of Object.entries(entry)) {
    const old = memberOf(existing, name);
    result[name] = isTable(old) && isTable(value) ? merged(old, value) : value;
  }
  return result;
}

function putIn(tree: Table, [name, ...rest]: readonly string[], value: Table): Table {
  if (name === undefined) return value;
  const inner = memberOf(tree, name);
  return { ...tree, [name]: putIn(isTable(inner) ? inner : {}, rest, value) };
}

function takeFrom(tree: Table, [name = "", ...rest]: readonly string[]): Table {
  const { [name]: inner, ...others } = tree;
  return rest.length === 0 ? others : { ...tree, [name]: isTable(inner) ? takeFrom(inner, rest) : inner };
}

/** Without the prototypes that the parsers give, which are no difference. */
function plain(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plain);
  return isTable(value)
    ? Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, plain(inner)]))
    : value;
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

function unusable(path: string, fault: string, cause?: unknown): AppError {
  return new AppError("invalid_input", `\`${path}\` was left as it is: ${fault}; run without \`--write\` and paste`, {
    cause,
  });
}
