import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener, type HttpBindings } from "@hono/node-server";
import { Hono, type Context } from "hono";
import { AppError, toAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import type { Operation } from "../operations/define-operation.ts";
import { execute } from "../operations/execute.ts";
import { requireIdentity } from "./authentication.ts";
import { toOpenApi } from "./openapi.ts";
import { toProblem, type ErrorAnswer } from "./problem.ts";
import { readRestInput } from "./rest-input.ts";
import { API_ROOT, toRoute } from "./routes.ts";
import type { RequestOrigin, Surface } from "./surface.ts";

interface RestEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { readonly correlationId: string };
}

/** The REST face: every operation at its route below `/api/v1`, and the OpenAPI document of it. */
export function createRest(
  surface: Surface,
): (request: IncomingMessage, response: ServerResponse, origin: RequestOrigin) => void {
  const origins = new WeakMap<object, RequestOrigin>();
  const app = new Hono<RestEnv>();
  app.use(async (context, next) => {
    context.set("correlationId", newId());
    await next();
  });
  let openApi: string | undefined;
  app.get(`${API_ROOT}/openapi.json`, () => {
    openApi ??= JSON.stringify(toOpenApi(surface.operations, surface.version));
    return new Response(openApi, { headers: { "content-type": "application/json" } });
  });
  for (const operation of surface.operations) addRoute(app, { surface, operation, origins });
  app.all("*", (context) => answerUnknown(context, surface.operations));
  app.onError((error, context) => answerError(error, context, surface));
  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return (request, response, origin) => {
    origins.set(request, origin);
    // The listener answers every failure itself: `onError` above gives the response.
    void listener(request, response);
  };
}

interface RestRoute {
  readonly surface: Surface;
  readonly operation: Operation;
  readonly origins: WeakMap<object, RequestOrigin>;
}

function addRoute(app: Hono<RestEnv>, { surface, operation, origins }: RestRoute): void {
  const { method, path } = toRoute(operation);
  app.on(method, `${API_ROOT}${path.replaceAll(/\{(\w+)\}/g, ":$1")}`, async (context) => {
    const { incoming, outgoing } = context.env;
    const { caller } = requireIdentity(surface.authenticate, {
      authorization: incoming.headers.authorization,
      ip: origins.get(incoming)?.ip,
    });
    const input = await readRestInput(operation, { incoming, params: context.req.param() });
    const answer = await execute(
      operation,
      { caller, input, signal: untilClosed(outgoing), correlationId: context.var.correlationId },
      surface.runtime,
    );
    return context.json(answer.output, 200, {
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
      "x-correlation-id": context.var.correlationId,
    });
  });
}

/** Aborts when the client has gone before the answer was sent. */
function untilClosed(outgoing: HttpBindings["outgoing"]): AbortSignal {
  const controller = new AbortController();
  outgoing.once("close", () => {
    if (!outgoing.writableFinished) controller.abort(new AppError("timeout", "the client closed the connection"));
  });
  return controller.signal;
}

function answerError(error: unknown, context: Context<RestEnv>, surface: Surface): Response {
  const { correlationId } = context.var;
  const appError = toAppError(error);
  if (appError.code === "internal") surface.reportError(error, { correlationId });
  return toResponse(toProblem(appError, correlationId));
}

function answerUnknown(context: Context<RestEnv>, operations: readonly Operation[]): Response {
  const segments = context.req.path.slice(API_ROOT.length).split("/");
  const allowed = operations
    .map(toRoute)
    .filter((route) => isSamePath(route.path.split("/"), segments))
    .map((route) => route.method);
  const { correlationId } = context.var;
  const document = `\`${API_ROOT}/openapi.json\` lists the routes`;
  if (allowed.length === 0) {
    return toResponse(toProblem(new AppError("not_found", `there is no such route; ${document}`), correlationId));
  }
  const allow = [...new Set(allowed)].join(", ");
  const error = new AppError("invalid_input", `this route takes ${allow}; ${document}`);
  const problem = toProblem(error, correlationId, 405);
  return toResponse({ ...problem, headers: { ...problem.headers, allow } });
}

function isSamePath(pattern: readonly string[], segments: readonly string[]): boolean {
  return (
    pattern.length === segments.length &&
    pattern.every((part, index) => part.startsWith("{") || part === segments[index])
  );
}

function toResponse({ status, headers, body }: ErrorAnswer): Response {
  return new Response(body, { status, headers });
}
