import type { ServerResponse } from "node:http";
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";

interface Client {
  readonly gone: AbortSignal;
  readonly response: ServerResponse;
}

const clientByRequest = new WeakMap<AuthInfo, Client>();

/** Notes when the client of a request goes before its answer. `auth` MUST be of this request alone. */
export function followClient(auth: AuthInfo, response: ServerResponse): void {
  const gone = new AbortController();
  clientByRequest.set(auth, { gone: gone.signal, response });
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
}

/** Aborted when the client took its request back or is gone: what it asked for and was not sent yet is not sent any more. */
export function signalOf(context: ServerContext): AbortSignal {
  const client = clientOf(context);
  return client === undefined ? context.mcpReq.signal : AbortSignal.any([context.mcpReq.signal, client.gone]);
}

/** Whether the client has taken what it was sent. What is written while it does not waits in memory. */
export function isReading(context: ServerContext): boolean {
  return clientOf(context)?.response.writableNeedDrain !== true;
}

/** Where the answer goes. */
export function responseOf(context: ServerContext): ServerResponse | undefined {
  return clientOf(context)?.response;
}

function clientOf({ http }: ServerContext): Client | undefined {
  return http?.authInfo === undefined ? undefined : clientByRequest.get(http.authInfo);
}
