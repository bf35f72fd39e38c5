import { assert } from "../lib/assert.ts";
import type { Operation } from "../operations/define-operation.ts";

export interface Route {
  readonly method: "GET" | "POST" | "PATCH" | "PUT" | "DELETE";
  /** Below `/api/v1`, parameters as `{name}`. */
  readonly path: string;
  readonly parameters: readonly string[];
  /** Whether its fields come in the query string; else in the JSON body. A DELETE takes them from either. */
  readonly fieldsFrom: "query" | "body" | "both";
}

export const API_ROOT = "/api/v1";

const ROUTE = /^(GET|POST|PATCH|PUT|DELETE) (\/[a-z0-9{}A-Z/-]+)$/;

/** An operation's `route`, taken apart. */
export function toRoute(operation: Operation): Route {
  const [, method, path] = ROUTE.exec(operation.route) ?? [];
  assert(method !== undefined && path !== undefined, `${operation.name} has a route of the form \`GET /things/{id}\``);
  assert(isMethod(method), `${operation.name} has a method of ours`);
  const parameters = [...path.matchAll(/\{([A-Za-z]+)\}/g)].map(([, name = ""]) => name);
  return { method, path, parameters, fieldsFrom: fieldsFrom(method) };
}

function fieldsFrom(method: Route["method"]): Route["fieldsFrom"] {
  if (method === "GET") return "query";
  return method === "DELETE" ? "both" : "body";
}

function isMethod(text: string): text is Route["method"] {
  return ["GET", "POST", "PATCH", "PUT", "DELETE"].includes(text);
}
