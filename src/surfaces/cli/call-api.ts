import type { Dispatcher, Response } from "undici";
import { z } from "zod";
import { AppError, ERROR_STATUS, type ErrorCode } from "../../lib/errors.ts";
import { isKeyText } from "../../lib/is-key-text.ts";
import { readAnswer } from "../../lib/read-answer.ts";
import type { Operation } from "../../operations/define-operation.ts";
import { API_ROOT, toRoute } from "../routes.ts";

/** Where the CLI finds the server, and the key that it shows. */
export interface ApiTarget {
  readonly url: string;
  readonly apiKey: string | undefined;
}

type Fields = Readonly<Record<string, unknown>>;

export type ApiAnswer =
  | { readonly ok: true; readonly output: Fields }
  | {
      readonly ok: false;
      readonly code: ErrorCode | "unreachable";
      readonly message: string;
      readonly details?: Fields;
    };

/** A scan may take minutes; a server that says nothing for longer is not going to. */
const TIMEOUT_MS = 15 * 60_000;
const ANSWER_BYTES_MAX = 64 * 1_048_576;

const FieldsSchema = z.record(z.string(), z.unknown());
const ProblemSchema = z.object({
  code: z.string().refine((code): code is ErrorCode => code in ERROR_STATUS),
  detail: z.string(),
  details: FieldsSchema.optional(),
});

/** Calls an operation over REST. Never throws for what the server or the network does; see the answer's code. */
export async function callApi(operation: Operation, input: Fields, target: ApiTarget): Promise<ApiAnswer> {
  if (!isHttpUrl(target.url)) {
    const message = `RUNLAYER_URL: \`${target.url}\` is no URL; a valid one is http://127.0.0.1:7420`;
    return { ok: false, code: "invalid_input", message };
  }
  if (target.apiKey !== undefined && !isKeyText(target.apiKey)) {
    const message = "RUNLAYER_API_KEY holds no key; it should be one line that starts with rl_org_";
    return { ok: false, code: "invalid_input", message };
  }
  const unfit = toRoute(operation).parameters.find((name) => UNFIT_IN_PATH.has(toText(input[name])));
  if (unfit !== undefined) {
    const message = `\`${unfit}\` names nothing: it is \`${toText(input[unfit])}\`; give a name or an id`;
    return { ok: false, code: "invalid_input", message };
  }
  let response: Response | undefined;
  try {
    response = await send(operation, input, target);
    return await read(response, target);
  } catch (error) {
    const message =
      response !== undefined && isAnswerAtFault(error) ? toStrangeAnswer(response, target) : toUnreachable(target);
    return { ok: false, code: "unreachable", message };
  }
}

/** Throws where it is no answer of a Runlayer server. */
async function read(response: Response, target: ApiTarget): Promise<ApiAnswer> {
  if (isRedirect(response)) {
    const message = `\`${target.url}\` leads elsewhere, to \`${response.headers.get("location") ?? ""}\`, where no key is sent; set RUNLAYER_URL to the server's own address`;
    return { ok: false, code: "unreachable", message };
  }
  const body: unknown = JSON.parse(await readAnswer(response, ANSWER_BYTES_MAX));
  if (response.ok) return { ok: true, output: FieldsSchema.parse(body) };
  const { code, detail, details } = ProblemSchema.parse(body);
  return { ok: false, code, message: detail, ...(details === undefined ? {} : { details }) };
}

/** Calls an operation and gives its output. Throws what the server refused; a server that does not answer is `unavailable`. */
export async function callOrThrow(operation: Operation, input: Fields, target: ApiTarget): Promise<Fields> {
  const answer = await callApi(operation, input, target);
  if (answer.ok) return answer.output;
  if (answer.code === "unreachable") throw new AppError("unavailable", answer.message);
  const advice = answer.code === "unauthenticated" ? "; set RUNLAYER_API_KEY to an organization key" : "";
  throw new AppError(answer.code, `${answer.message}${advice}`);
}

/** Shared by all calls, made with the first. */
let agent: Dispatcher | undefined;

async function send(operation: Operation, input: Fields, { url, apiKey }: ApiTarget): Promise<Response> {
  const { Agent, fetch } = await import("undici");
  // Unless told, it waits five minutes for the head of an answer.
  agent ??= new Agent({ headersTimeout: TIMEOUT_MS, bodyTimeout: TIMEOUT_MS });
  const { method, path, parameters, fieldsFrom } = toRoute(operation);
  const filled = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(toText(input[name])));
  const fields = Object.entries(input).filter(([name, value]) => !parameters.includes(name) && value !== undefined);
  const query = fieldsFrom === "query" ? toQuery(fields) : "";
  const hasBody = fieldsFrom !== "query" && (fields.length > 0 || method !== "DELETE");
  return fetch(new URL(`${url.replace(/\/+$/, "")}${API_ROOT}${filled}${query}`), {
    method,
    headers: {
      accept: "application/json",
      ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
      ...(hasBody ? { "content-type": "application/json" } : {}),
    },
    body: hasBody ? JSON.stringify(Object.fromEntries(fields)) : null,
    // The key goes to the address that was named and nowhere else.
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    dispatcher: agent,
  });
}

function toQuery(fields: readonly (readonly [string, unknown])[]): string {
  const params = new URLSearchParams();
  for (const [name, value] of fields) {
    for (const element of Array.isArray(value) ? value : [value]) params.append(name, toText(element));
  }
  const text = params.toString();
  return text === "" ? "" : `?${text}`;
}

function toText(value: unknown): string {
  return typeof value === "string" ? value : (JSON.stringify(value) ?? "");
}

/** No name, and in a URL they stand for another path. */
const UNFIT_IN_PATH: ReadonlySet<string> = new Set(["", ".", ".."]);

const LOOPBACK = /^(localhost|127\.[\d.]+|\[::1\])$/;

function isAnswerAtFault(error: unknown): boolean {
  return [z.ZodError, SyntaxError, RangeError].some((type) => error instanceof type);
}

function isHttpUrl(url: string): boolean {
  return URL.canParse(url) && ["http:", "https:"].includes(new URL(url).protocol);
}

function isRedirect({ status }: Response): boolean {
  return status >= 300 && status < 400;
}

function toStrangeAnswer({ status }: Response, { url }: ApiTarget): string {
  return `what answers at \`${url}\`, with HTTP status ${status}, is no Runlayer server or something in front of it; see what is there, or set RUNLAYER_URL to the server's own address`;
}

function toUnreachable({ url }: ApiTarget): string {
  const isHere = LOOPBACK.test(new URL(url).hostname);
  const advice = isHere ? "start it with `npm start`" : "see whether it runs and can be reached from here";
  return `\`${url}\` does not answer; ${advice}, or set RUNLAYER_URL to its address`;
}
