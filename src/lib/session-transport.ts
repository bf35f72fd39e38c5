import type { IncomingMessage, ServerResponse } from "node:http";
import { getRequestListener } from "@hono/node-server";
import { type AuthInfo, WebStandardStreamableHTTPServerTransport } from "@modelcontextprotocol/server";
import { eventsOnOneLine } from "./one-line.ts";

export interface SessionMessage {
  readonly request: IncomingMessage & { readonly auth?: AuthInfo };
  readonly response: ServerResponse;
  /** What was read of the request; undefined where it has no body. */
  readonly body: unknown;
}

/** A session of the 2025 revisions over `node:http`, as the SDK's own transport for it, but that each event is on one line. */
export class SessionTransport extends WebStandardStreamableHTTPServerTransport {
  /** Resolves when the answer is written, however long its stream stands open. */
  async serve({ request, response, body }: SessionMessage): Promise<void> {
    const { auth } = request;
    const options = { parsedBody: body, ...(auth === undefined ? {} : { authInfo: auth }) };
    const listener = getRequestListener(
      async (message) => eventsOnOneLine(await this.handleRequest(message, options)),
      { overrideGlobalObjects: false },
    );
    await listener(request, response);
  }
}
