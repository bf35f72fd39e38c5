import type { IncomingMessage, ServerResponse } from "node:http";
import { Readable } from "node:stream";
import { toNodeHandler, toWebRequest } from "@modelcontextprotocol/node";
import { createMcpHandler, isLegacyRequest, type AuthInfo } from "@modelcontextprotocol/server";
import { newId } from "../lib/ids.ts";
import { eventsOnOneLine } from "../lib/one-line.ts";
import type { Identity } from "./authentication.ts";
import { createRoundTrips } from "./mcp-confirmation.ts";
import { createMcpServer } from "./mcp-server.ts";
import { createMcpSessions } from "./mcp-sessions.ts";
import type { Surface } from "./surface.ts";

/** A request with who sent it, as the SDK's adapters take it. */
export type AuthenticatedRequest = IncomingMessage & { auth?: AuthInfo };

/** A message whose sender is known. */
export interface McpMessage {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly body: unknown;
  readonly identity: Identity;
}

/** The MCP SDK's side of `/mcp`. */
export interface McpProtocol {
  handle(message: McpMessage): Promise<void>;
  countByKey(keyId: string): number;
  endOfKey(keyId: string): void;
  close(): Promise<void>;
}

/** Serves every protocol revision from 2025-03-26 to 2026-07-28. */
export function createMcpProtocol(surface: Surface): McpProtocol {
  const { clock } = surface.runtime;
  const identities = new WeakMap<AuthInfo, Identity>();
  const serverParts = { surface, roundTrips: createRoundTrips(() => clock.now()), identities };
  const report = (error: Error): void => surface.reportError(error, { correlationId: newId() });
  const handler = createMcpHandler(() => createMcpServer(serverParts, "modern"), {
    legacy: "reject",
    onerror: () => {},
  });
  const sessions = createMcpSessions({ clock, createServer: () => createMcpServer(serverParts, "legacy") });
  const modern = toNodeHandler(
    { fetch: async (...message) => eventsOnOneLine(await handler.fetch(...message)) },
    { onerror: report },
  );
  return {
    async handle({ request, response, body, identity }) {
      // The bearer itself stays out: nothing behind this line needs it.
      const auth: AuthInfo = { token: "", clientId: identity.keyId, scopes: [] };
      identities.set(auth, identity);
      const plain = { method: request.method ?? "GET", url: request.url ?? "/", headers: request.headers, auth };
      const message = Object.assign(Readable.from([]), plain);
      if (await isLegacyRequest(await toWebRequest(message, body), body)) {
        await sessions.handle({ request: Object.assign(request, { auth }), response, body, identity });
      } else {
        await modern(message, response, body);
      }
    },
    countByKey: (keyId) => sessions.countByKey(keyId),
    endOfKey: (keyId) => sessions.endOfKey(keyId),
    async close() {
      await sessions.close();
      await handler.close();
    },
  };
}
