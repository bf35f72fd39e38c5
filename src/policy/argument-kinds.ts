import { formatPath, parsePath } from "./argument-path.ts";
import { toCedarArgument } from "./arguments.ts";
import { isJsonObject } from "./json-tree.ts";
import { type CedarSet, cedarSet } from "./value.ts";

/**
 * The set `context.kinds`: `<path>:decimal`, `<path>:array` and `<path>:object` for each argument path that holds one, so that a rule
 * can choose the right operator. One entry is looked up along its path; only a policy that wants the whole set has it made.
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
  const path = parsePath(written);
  if (path === undefined || formatPath(path) !== written) return false;
  let json = args;
  for (const name of path) {
    if (!isJsonObject(json) || !Object.hasOwn(json, name)) return false;
    json = json[name];
  }
  return kindOf(json) === entry.slice(end + 1);
}

function kindsBelow(json: unknown, path: string): string[] {
  if (!isJsonObject(json)) return [];
  const prefix = path === "" ? "" : `${path}.`;
  return Object.keys(json).flatMap((name) => {
    const inner = prefix + formatPath([name]);
    const kind = kindOf(json[name]);
    return kind === undefined ? [] : [`${inner}:${kind}`, ...kindsBelow(json[name], inner)];
  });
}

function kindOf(json: unknown): "array" | "decimal" | "object" | undefined {
  if (Array.isArray(json)) return "array";
  if (isJsonObject(json)) return "object";
  if (typeof json !== "number") return undefined;
  const value = toCedarArgument(json);
  return typeof value === "object" && value.kind === "decimal" ? "decimal" : undefined;
}
