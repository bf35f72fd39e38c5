import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { toNodeHandler, toWebRequest, type NodeMcpRequestHandler } from "@modelcontextprotocol/node";
import { createMcpHandler, isLegacyRequest, type AuthInfo } from "@modelcontextprotocol/server";
import { AppError, ERROR_STATUS, toAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import { BEARER_CHALLENGE, requireIdentity, type Identity } from "./authentication.ts";
import { createRoundTrips } from "./mcp-confirmation.ts";
import { createMcpServer } from "./mcp-server.ts";
import { createMcpSessions, type McpSessions } from "./mcp-sessions.ts";
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
  /** Ends every session and open stream. */
  close(): Promise<void>;
}

/** A request with who sent it, as the SDK's adapters take it. */
export type AuthenticatedRequest = IncomingMessage & { auth?: AuthInfo };

interface Parts {
  readonly settings: McpSettings;
  readonly identities: WeakMap<AuthInfo, Identity>;
  readonly sessions: McpSessions;
  readonly openCalls: OpenCalls;
  readonly modern: NodeMcpRequestHandler;
}

/** The MCP face at `/mcp`: the operations as tools, in every protocol revision from 2025-03-26 to 2026-07-28. */
export function createMcp(settings: McpSettings): McpFace {
  const { clock } = settings.runtime;
  const identities = new WeakMap<AuthInfo, Identity>();
  const serverParts = { surface: settings, roundTrips: createRoundTrips(() => clock.now()), identities };
  const report = (error: Error): void => settings.reportError(error, { correlationId: newId() });
  const handler = createMcpHandler(() => createMcpServer(serverParts, "modern"), {
    legacy: "reject",
    onerror: () => {},
  });
  const sessions = createMcpSessions({ clock, createServer: () => createMcpServer(serverParts, "legacy") });
  const openCalls = createOpenCalls(clock);
  const modern = toNodeHandler(handler, { onerror: report });
  const parts: Parts = { settings, identities, sessions, openCalls, modern };
  const unsubscribe = settings.onKeyEnded((keyId) => {
    sessions.endOfKey(keyId);
    openCalls.cutOfKey(keyId);
  });
  return {
    handle: (request, response, origin) => void answer(parts, { request, response, origin }),
    countByKey: (keyId) => sessions.countByKey(keyId),
    async close() {
      unsubscribe();
      openCalls.close();
      await sessions.close();
      await handler.close();
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
  // The bearer itself stays out: nothing behind this line needs it.
  const auth: AuthInfo = { token: "", clientId: identity.keyId, scopes: [] };
  parts.identities.set(auth, identity);
  const authenticated: AuthenticatedRequest = Object.assign(request, { auth });
  parts.openCalls.add({ response, identity, isMutation: isMutation(body, parts.settings) });
  const plain = { method: request.method ?? "GET", url: request.url ?? "/", headers: request.headers, auth };
  const message = Object.assign(Readable.from([]), plain);
  if (await isLegacyRequest(await toWebRequest(message, body), body)) {
    await parts.sessions.handle({ request: authenticated, response, body, identity });
  } else {
    await parts.modern(message, response, body);
  }
}

/** A call that changes something is answered even if it ends its own key: the answer is the only place that says it was done. */
function isMutation(body: unknown, { operations }: Surface): boolean {
  const name = toolName(body);
  return operations.some((operation) => operation.name === name && operation.effect !== "read");
}

function toolName(body: unknown): unknown {
  if (typeof body !== "object" || body === null || !("params" in body)) return undefined;
  const { params } = body;
  return typeof params === "object" && params !== null && "name" in params ? params.name : undefined;
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
