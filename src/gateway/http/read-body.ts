import type { IncomingMessage } from "node:http";
import { GatheredBytes } from "../../lib/gathered-bytes.ts";
import { RPC_CODES, RpcRefusal } from "../rpc-refusal.ts";

/** Keeps account of what one message has in memory. */
export interface Holder {
  /** Says how many bytes that is by now. False where it is too much, together with what others have. */
  hold(bytes: number): boolean;
}

/**
 * The whole body of a request, which counts as held until it is read. Rejects with `RpcRefusal` past `bytesMax` or where there is
 * no room for it; the request is paused then, its rest is not read, and the connection must close.
 */
export function readBody(request: IncomingMessage, bytesMax: number, holder: Holder): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const gathered = new GatheredBytes();
  const refuse = (refusal: RpcRefusal): void => {
    request.pause();
    request.removeAllListeners("data");
    holder.hold(0);
    reject(refusal);
  };
  if (Number(request.headers["content-length"] ?? 0) > bytesMax) {
    refuse(tooLarge(bytesMax));
    return promise;
  }
  request.on("data", (chunk: Buffer) => {
    gathered.add(chunk);
    if (gathered.length > bytesMax) refuse(tooLarge(bytesMax));
    else if (!holder.hold(gathered.length)) refuse(noRoom());
  });
  request.on("end", () => {
    holder.hold(0);
    resolve(gathered.take());
  });
  request.on("error", reject);
  request.on("close", () => {
    // Every request closes; only one that did not end was broken off.
    if (request.complete) return;
    holder.hold(0);
    reject(new ClientGoneError());
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

/** Its code says that nothing was sent. */
function noRoom(): RpcRefusal {
  return RpcRefusal.unavailable(
    "too many large messages are on their way at one time; send this one again in a moment",
  );
}
