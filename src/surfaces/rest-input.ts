import type { IncomingMessage } from "node:http";
import { AppError } from "../lib/errors.ts";
import type { Operation } from "../operations/define-operation.ts";
import { inputSchema } from "./json-schemas.ts";
import { readJson } from "./request-body.ts";
import { toRoute } from "./routes.ts";
import { readTextField } from "./text-input.ts";

interface RestRequest {
  readonly incoming: IncomingMessage;
  /** Path parameters, decoded. */
  readonly params: Readonly<Record<string, string>>;
}

/** The unparsed input of an operation, from path, query string and body. Throws `invalid_input` for a field that is given twice. */
export async function readRestInput(
  operation: Operation,
  { incoming, params }: RestRequest,
): Promise<Readonly<Record<string, unknown>>> {
  const { fieldsFrom } = toRoute(operation);
  const body = await readBody(incoming);
  if (fieldsFrom === "query" && body !== undefined) {
    throw new AppError("invalid_input", "a GET takes no body; send the fields in the query string");
  }
  const query = readQuery(operation, incoming);
  if (fieldsFrom === "body" && Object.keys(query).length > 0) {
    throw new AppError("invalid_input", "this route takes no query string; send the fields in the JSON body");
  }
  return merge([params, query, body ?? {}]);
}

async function readBody(incoming: IncomingMessage): Promise<Readonly<Record<string, unknown>> | undefined> {
  const body = await readJson(incoming);
  if (body === undefined) return undefined;
  if (typeof body !== "object" || body === null || Array.isArray(body)) {
    throw new AppError("invalid_input", "the body must be a JSON object");
  }
  return Object.fromEntries(Object.entries(body));
}

function readQuery(operation: Operation, incoming: IncomingMessage): Readonly<Record<string, unknown>> {
  const [, query = ""] = (incoming.url ?? "").split("?", 2);
  // The schema is made anew for each request: most have no query, and need none.
  if (query === "") return {};
  const params = new URLSearchParams(query);
  const { properties } = inputSchema(operation);
  const names = [...new Set(params.keys())];
  return Object.fromEntries(
    names.map((name) => [
      name,
      readTextField(params.getAll(name), Object.hasOwn(properties, name) ? (properties[name] ?? {}) : {}),
    ]),
  );
}

function merge(sources: readonly Readonly<Record<string, unknown>>[]): Readonly<Record<string, unknown>> {
  const entries = sources.flatMap((source) => Object.entries(source));
  const names = entries.map(([name]) => name);
  if (new Set(names).size < names.length) {
    throw new AppError(
      "invalid_input",
      "a field is given twice, in the path, the query string or the body; give it once",
    );
  }
  return Object.fromEntries(entries);
}
