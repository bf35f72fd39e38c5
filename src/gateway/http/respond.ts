import type { ServerResponse } from "node:http";
import type { RpcRefusal } from "../rpc-refusal.ts";

/** The id of the request that an error answers, as written; `null` where there is none. */
export type IdText = string;

/** Beyond this, copying costs more than a second piece does. */
const ONE_WRITE_BYTES_MAX = 16 * 1024;

interface RpcError {
  readonly code: number;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
}

/** One JSON-RPC error message. `idText` MUST be JSON. */
export function errorMessage(idText: IdText, { code, message, data }: RpcError): Buffer {
  const error = JSON.stringify({ code, message, ...(data === undefined ? {} : { data }) });
  return Buffer.from(`{"jsonrpc":"2.0","id":${idText},"error":${error}}`);
}

/** Answers with a JSON body in one piece. Does nothing where the answer has begun or the client is gone. */
export function respondJson(
  response: ServerResponse,
  {
    status,
    body,
    headers = {},
  }: { status: number; body: Buffer; headers?: Readonly<Record<string, string>> | undefined },
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, {
    "content-type": "application/json",
    "content-length": body.length,
    "cache-control": "no-store",
    ...headers,
  });
  // A text leaves in one write together with the head, a buffer in a second piece; latin1 keeps every byte.
  if (body.length <= ONE_WRITE_BYTES_MAX) response.end(body.toString("latin1"), "latin1");
  else response.end(body);
}

/** Answers with the refusal as a JSON-RPC error. */
export function respondRefusal(response: ServerResponse, refusal: RpcRefusal, idText: IdText = "null"): void {
  const isUnread = response.req.isPaused();
  respondJson(response, {
    status: refusal.status,
    body: errorMessage(idText, refusal),
    // The rest of a body that was refused is not read, so the connection cannot serve another request.
    headers: isUnread ? { connection: "close" } : undefined,
  });
}

export function respondEmpty(
  response: ServerResponse,
  status: number,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent || response.destroyed) return;
  response.writeHead(status, { "content-length": 0, ...headers });
  response.end();
}

/** A JSON object that is no JSON-RPC message: for what is refused before a message is looked at. */
export function respondProblem(response: ServerResponse, { status, code, message, data, headers }: Problem): void {
  respondJson(response, { status, body: Buffer.from(JSON.stringify({ error: { code, message, data } })), headers });
}

interface Problem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly data?: Readonly<Record<string, unknown>> | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}
