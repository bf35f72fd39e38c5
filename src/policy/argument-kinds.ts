import { formatPath, parsePath } from "./argument-path.ts";
import { toCedarArgument } from "./arguments.ts";
import { isJsonObject } from "./json-tree.ts";
import { type CedarSet, cedarSet } from "./value.ts";

/**
 * The set `context.kinds`: `<path>:decimal` and `<path>:array` for each argument path that holds one, so that a rule can
 * choose the right operator. One entry is looked up along its path; only a policy that wants the whole set has it made.
 */
export function argumentKinds(args: () => unknown): CedarSet {
  let set: CedarSet | undefined;
  const listed = (): CedarSet => (set ??= cedarSet(kindsBelow(args(), "")));
  return {
    kind: "set",
    items: () => listed().items(),
    contains: (value) => typeof value === "string" && hasKind(args(), value),
  };
}

function hasKind(args: unknown, entry: string): boolean {
  const end = entry.lastIndexOf(":");
  const written = entry.slice(0, Math.max(end, 0));
  const path = written === "" ? [] : parsePath(written);
  if (path === undefined || formatPath(path) !== written) return false;
  let json = args;
  for (const name of path) {
    if (!isJsonObject(json) || !Object.hasOwn(json, name)) return false;
    json = json[name];
  }
  return end >= 0 && kindOf(json) === entry.slice(end + 1);
}

function kindsBelow(json: unknown, path: string): string[] {
  const kind = kindOf(json);
  if (kind !== undefined) return [`${path}:${kind}`];
  if (!isJsonObject(json)) return [];
  const prefix = path === "" ? "" : `${path}.`;
  return Object.keys(json).flatMap((name) => kindsBelow(json[name], prefix + formatPath([name])));
}

function kindOf(json: unknown): "array" | "decimal" | undefined {
  if (Array.isArray(json)) return "array";
  if (typeof json !== "number") return undefined;
  const value = toCedarArgument(json);
  return typeof value === "object" && value.kind === "decimal" ? "decimal" : undefined;
}
