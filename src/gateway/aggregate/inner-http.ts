import { createServer, request as startRequest, type IncomingMessage, type ServerResponse } from "node:http";
import { duplexPair, Readable, type Duplex } from "node:stream";
import type { ParentCall } from "../parent-call.ts";
import type { Openings } from "./openings.ts";

/** Who sends a message of the gateway to itself, as its right was checked before. */
export interface InnerOrigin {
  readonly agentId: string;
  readonly keyId: string;
  readonly serverId: string;
  readonly ip: string | undefined;
  readonly client: string | undefined;
  /** The call that the message belongs to. */
  readonly parent: ParentCall | undefined;
  /** Whether who sends it can pass on a tool's result, in a conversation of 2026-07-28 or of an earlier revision. */
  readonly isToolResult: (result: unknown, isModern: boolean) => boolean;
}

/**
 * In answers to the gateway itself alone: the message was sent to no server, because its session had ended before. No server can
 * say so, for its headers do not pass.
 */
export const SESSION_GONE_HEADER = "runlayer-session-gone";

export type ServeInner = (
  http: { readonly request: IncomingMessage; readonly response: ServerResponse },
  origin: InnerOrigin,
) => void;

export type Fetch = (url: string | URL, init?: RequestInit) => Promise<Response>;

/** `fetch` into the gateway without a network: each request is HTTP over a pair of streams that nobody else can reach. */
export interface InnerHttp {
  /** How the clients that send through it open servers. */
  readonly openings: Openings;
  /** `origin` is read for each message, when it is sent. */
  fetchAs(origin: () => InnerOrigin): Fetch;
  /** Ends what is on its way; nothing is sent from then on. */
  close(): void;
}

export function createInnerHttp(serve: ServeInner, openings: Openings): InnerHttp {
  const origins = new WeakMap<object, InnerOrigin>();
  const open = new Set<Duplex>();
  let isClosed = false;
  // It never listens: connections are handed to it.
  const server = createServer((request, response) => {
    const origin = origins.get(request.socket);
    if (origin === undefined) request.destroy();
    else serve({ request, response }, origin);
  });
  const connect = (origin: InnerOrigin): Duplex => {
    const [near, far] = duplexPair();
    const socket = Object.assign(far, {
      // A socket's own way to close after what was written; the gateway uses it to cut off who lost the right.
      destroySoon: () => void far.end(() => far.destroy()),
      // Who reads here is the gateway itself; what it waits for has limits of its own.
      setTimeout: () => far,
    });
    origins.set(socket, origin);
    open.add(near);
    near.on("close", () => {
      open.delete(near);
      far.destroy();
    });
    far.on("close", () => near.destroy());
    server.emit("connection", socket);
    return near;
  };
  return {
    openings,
    fetchAs:
      (origin) =>
      (url, init = {}) => {
        if (isClosed) return Promise.reject(new Error("the gateway stops"));
        // Who sends a message, and the call that it belongs to, are known when it is sent, not when it is served.
        const sender = origin();
        return send(new URL(url), init, () => connect(sender));
      },
    close() {
      isClosed = true;
      for (const stream of open) stream.destroy();
      server.close();
    },
  };
}

function send(url: URL, init: RequestInit, connect: () => Duplex): Promise<Response> {
  const { promise, resolve, reject } = Promise.withResolvers<Response>();
  const headers = Object.fromEntries(new Headers(init.headers));
  const outgoing = startRequest({
    createConnection: connect,
    method: init.method ?? "GET",
    path: url.pathname,
    host: url.hostname,
    headers: { ...headers, connection: "close" },
  });
  const { signal } = init;
  const abort = (): void => void outgoing.destroy(new DOMException("aborted", "AbortError"));
  signal?.addEventListener("abort", abort, { once: true });
  outgoing.on("close", () => signal?.removeEventListener("abort", abort));
  outgoing.on("error", reject);
  outgoing.on("response", (incoming) => resolve(toResponse(incoming)));
  if (signal?.aborted === true) abort();
  else outgoing.end(typeof init.body === "string" ? init.body : undefined);
  return promise;
}

const BODYLESS: ReadonlySet<number> = new Set([101, 103, 204, 205, 304]);

function toResponse(incoming: IncomingMessage): Response {
  const headers = new Headers();
  for (const [name, value] of Object.entries(incoming.headers)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined) headers.append(name, one);
  }
  const status = incoming.statusCode ?? 500;
  if (BODYLESS.has(status)) incoming.resume();
  const body = BODYLESS.has(status) ? null : new ReadableStream<Uint8Array>(toSource(incoming));
  return new Response(body, { status, headers });
}

/** Whoever stops reading closes the connection, and the far end learns that its client has gone. */
function toSource(incoming: IncomingMessage) {
  const chunks = Readable.prototype[Symbol.asyncIterator].call(incoming);
  return {
    async pull(controller: ReadableStreamDefaultController<Uint8Array>) {
      try {
        const next = await chunks.next();
        if (next.done === true) controller.close();
        else controller.enqueue(new Uint8Array(toBytes(next.value)));
      } catch (error) {
        controller.error(error);
      }
    },
    cancel() {
      incoming.destroy();
    },
  };
}

function toBytes(chunk: unknown): Buffer {
  return Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
}
