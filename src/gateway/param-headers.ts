/** An argument that a 2026-07-28 client repeats in a header `Mcp-Param-<header>`. */
export interface ParamHeader {
  readonly header: string;
  readonly path: readonly string[];
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Schemas come from upstreams; what is nested deeper is not looked at. */
export const PARAM_DEPTH_MAX = 16;
const known = new WeakMap<object, readonly ParamHeader[]>();

/** The declarations (`x-mcp-header`) of a tool's input schema; found once for each schema. */
export function findParamHeaders(inputSchema: unknown): readonly ParamHeader[] {
  if (typeof inputSchema !== "object" || inputSchema === null) return [];
  const found = known.get(inputSchema) ?? walk(inputSchema, []);
  known.set(inputSchema, found);
  return found;
}

function walk(schema: unknown, path: readonly string[]): ParamHeader[] {
  if (typeof schema !== "object" || schema === null || path.length > PARAM_DEPTH_MAX) return [];
  const header: unknown = "x-mcp-header" in schema ? schema["x-mcp-header"] : undefined;
  const own = typeof header === "string" && TOKEN.test(header) && path.length > 0 ? [{ header, path }] : [];
  const properties: unknown = "properties" in schema ? schema.properties : undefined;
  if (typeof properties !== "object" || properties === null) return own;
  return [...own, ...Object.entries(properties).flatMap(([name, property]) => walk(property, [...path, name]))];
}
