import type { ServerResponse } from "node:http";
import type { AuthInfo, ServerContext } from "@modelcontextprotocol/server";

const goneByRequest = new WeakMap<AuthInfo, AbortSignal>();

/** Notes when the client of a request goes before its answer. `auth` MUST be of this request alone. */
export function followClient(auth: AuthInfo, response: ServerResponse): void {
  const gone = new AbortController();
  goneByRequest.set(auth, gone.signal);
  response.once("close", () => {
    if (!response.writableFinished) gone.abort();
  });
}

/** Aborted when the client took its request back or is gone: what it asked for and was not sent yet is not sent any more. */
export function signalOf({ mcpReq, http }: ServerContext): AbortSignal {
  const gone = http?.authInfo === undefined ? undefined : goneByRequest.get(http.authInfo);
  return gone === undefined ? mcpReq.signal : AbortSignal.any([mcpReq.signal, gone]);
}
