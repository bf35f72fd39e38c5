import type { IncomingMessage, ServerResponse } from "node:http";
import { AppError, ERROR_STATUS, toAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { lazily } from "../lib/lazily.ts";
import { BEARER_CHALLENGE, requireIdentity } from "./authentication.ts";
import type { McpProtocol } from "./mcp-protocol.ts";
import { createOpenCalls, type OpenCalls } from "./open-calls.ts";
import { readJson } from "./request-body.ts";
import type { RequestOrigin, Surface } from "./surface.ts";

export interface McpSettings extends Surface {
  /** Calls back when a key stops being accepted, before the revocation is answered. Gives a function that ends the subscription. */
  readonly onKeyEnded: (listener: (keyId: string) => void) => () => void;
}

export interface McpFace {
  readonly handle: (request: IncomingMessage, response: ServerResponse, origin: RequestOrigin) => void;
  /** Open sessions of a key on this node. */
  countByKey(keyId: string): number;
  /** Takes no more messages and ends open streams at once; calls in flight are answered first, within `graceMs`. */
  close(graceMs: number): Promise<void>;
}

interface Parts {
  readonly settings: McpSettings;
  readonly openCalls: OpenCalls;
  /** The MCP SDK is loaded for the first message of a known caller. */
  readonly loadProtocol: () => Promise<McpProtocol>;
}

/** The MCP face at `/mcp`: the operations as tools, in every protocol revision from 2025-03-26 to 2026-07-28. */
export function createMcp(settings: McpSettings): McpFace {
  let protocol: McpProtocol | undefined;
  const loadProtocol = lazily(async () => {
    const { createMcpProtocol } = await import("./mcp-protocol.ts");
    protocol = createMcpProtocol(settings);
    return protocol;
  });
  const openCalls = createOpenCalls(settings.runtime.clock);
  const parts: Parts = { settings, openCalls, loadProtocol };
  const unsubscribe = settings.onKeyEnded((keyId) => {
    protocol?.endOfKey(keyId);
    openCalls.cutOfKey(keyId);
  });
  return {
    handle: (request, response, origin) => void answer(parts, { request, response, origin }),
    countByKey: (keyId) => protocol?.countByKey(keyId) ?? 0,
    async close(graceMs) {
      await openCalls.close(graceMs);
      unsubscribe();
      await protocol?.close();
    },
  };
}

interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly origin: RequestOrigin;
}

async function answer(parts: Parts, exchange: Exchange): Promise<void> {
  const { request, response } = exchange;
  try {
    await route(parts, exchange);
  } catch (error) {
    const appError = toAppError(error);
    const correlationId = newId();
    if (appError.code === "internal") parts.settings.reportError(error, { correlationId });
    if (response.headersSent) response.destroy();
    else sendError(response, appError);
  } finally {
    if (!request.complete) request.resume();
  }
}

async function route(parts: Parts, { request, response, origin }: Exchange): Promise<void> {
  const identity = requireIdentity(parts.settings.authenticate, {
    authorization: request.headers.authorization,
    ip: origin.ip,
  });
  const body = request.method === "POST" ? await readJson(request) : undefined;
  if (Array.isArray(body)) throw new AppError("invalid_input", "batches are not taken; send one message per request");
  const isStream = request.method === "GET" || memberOf(body, "method") === "subscriptions/listen";
  parts.openCalls.add({ response, identity, isMutation: isMutation(body, parts.settings), isStream });
  const protocol = await parts.loadProtocol();
  // Its key may have ended meanwhile, or this face.
  if (!response.destroyed) await protocol.handle({ request, response, body, identity });
}

/** A call that changes something is answered even if it ends its own key: the answer is the only place that says it was done. */
function isMutation(body: unknown, { operations }: Surface): boolean {
  const name = memberOf(memberOf(body, "params"), "name");
  return operations.some((operation) => operation.name === name && operation.effect !== "read");
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}

/** JSON-RPC codes for what fails before a message is known; HTTP carries the status. */
function sendError(response: ServerResponse, error: AppError): void {
  const code = error.code === "invalid_input" ? -32_600 : -32_000;
  const headers = {
    "content-type": "application/json",
    "cache-control": "no-store",
    ...(error.code === "unauthenticated" ? { "www-authenticate": BEARER_CHALLENGE } : {}),
  };
  const data = { code: error.code, ...(error.details === undefined ? {} : { details: error.details }) };
  response.writeHead(ERROR_STATUS[error.code], headers);
  response.end(JSON.stringify({ jsonrpc: "2.0", id: null, error: { code, message: error.message, data } }));
}
