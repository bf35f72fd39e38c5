import type { IncomingMessage } from "node:http";
import { GatheredBytes } from "../../lib/gathered-bytes.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";

/** The whole body of a request. Rejects with `RpcRefusal` past `bytesMax`; the rest is not read and the connection must close. */
export function readBody(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) {
    reject(tooLarge(bytesMax));
    return promise;
  }
  const gathered = new GatheredBytes();
  request.on("data", (chunk: Buffer) => {
    gathered.add(chunk);
    if (gathered.length <= bytesMax) return;
    request.pause();
    request.removeAllListeners("data");
    reject(tooLarge(bytesMax));
  });
  request.on("end", () => resolve(gathered.take()));
  request.on("error", reject);
  request.on("close", () => {
    // Every request closes; only one that did not end was broken off.
    if (!request.complete) reject(new ClientGoneError());
  });
  return promise;
}

/** The client's connection ended before its message did: nobody is left to answer. */
export class ClientGoneError extends Error {
  override readonly name = "ClientGoneError";

  constructor() {
    super("the client closed the connection");
  }
}

function tooLarge(bytesMax: number): RpcRefusal {
  return new RpcRefusal({
    status: 413,
    code: RPC_CODES.invalidRequest,
    message: `the message is larger than ${bytesMax} bytes; send less in one message`,
  });
}
