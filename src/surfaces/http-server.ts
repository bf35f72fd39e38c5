import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import { assert } from "../lib/assert.ts";
import { AppError, toAppError } from "../lib/errors.ts";
import { newId } from "../lib/ids.ts";
import type { IpRange } from "../lib/ip.ts";
import { clientAddress } from "./client-address.ts";
import { checkHost, toAllowedHosts, type AllowedHosts } from "./host-check.ts";
import { toProblem } from "./problem.ts";
import type { RequestOrigin } from "./surface.ts";

export type Handler = (request: IncomingMessage, response: ServerResponse, origin: RequestOrigin) => void;

export interface HttpServerSettings {
  readonly host: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly publicUrl: string;
  readonly trustedProxies: readonly IpRange[];
  /** By path: an exact one, or a prefix that ends with `/`. The longest that fits wins. */
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly reportError: (error: unknown, context: { readonly correlationId: string }) => void;
}

export interface HttpServer {
  readonly port: number;
  /** Until then each request is answered with `unavailable`. */
  readonly open: () => void;
  /** Stops accepting, lets open requests finish for at most `graceMs`, then cuts what is left. Streams without end are cut then. */
  readonly close: (graceMs?: number) => Promise<void>;
}

// Far above what clients send; a flood of headers, slow bodies or idle connections costs bounded memory.
const HEADER_BYTES_MAX = 32_768;
const HEADERS_MAX = 100;
const HEADERS_TIMEOUT_MS = 10_000;
const REQUEST_TIMEOUT_MS = 60_000;
const KEEP_ALIVE_MS = 65_000;
const CONNECTIONS_MAX = 4_096;
const URL_CHARACTERS_MAX = 16_384;
const GRACE_MS = 10_000;
const IDLE_SWEEP_MS = 50;

/** Listens, and routes once it is opened. Host and Origin are checked on every path. Throws `unavailable` where the port cannot be had. */
export async function startHttpServer(settings: HttpServerSettings): Promise<HttpServer> {
  const allowed = toAllowedHosts(settings.host, settings.publicUrl);
  // The longest path first.
  const routes = Object.entries(settings.handlers).toSorted(([a], [b]) => b.length - a.length);
  const dispatching: Dispatching = { settings, allowed, routes, isOpen: false };
  const server = createServer(
    {
      maxHeaderSize: HEADER_BYTES_MAX,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      keepAliveTimeout: KEEP_ALIVE_MS,
      connectionsCheckingInterval: HEADERS_TIMEOUT_MS / 2,
    },
    (request, response) => dispatch(request, response, dispatching),
  );
  server.maxHeadersCount = HEADERS_MAX;
  server.maxConnections = CONNECTIONS_MAX;
  server.on("clientError", answerClientError);
  await listen(server, settings);
  const address = server.address();
  assert(isTcp(address), "a listening TCP server has an address");
  return {
    port: address.port,
    open: () => void (dispatching.isOpen = true),
    close: (graceMs = GRACE_MS) => closeGracefully(server, graceMs),
  };
}

interface Dispatching {
  readonly settings: HttpServerSettings;
  readonly allowed: AllowedHosts;
  readonly routes: readonly (readonly [path: string, handler: Handler])[];
  isOpen: boolean;
}

function dispatch(
  request: IncomingMessage,
  response: ServerResponse,
  { settings, allowed, routes, isOpen }: Dispatching,
): void {
  try {
    if (!isOpen) throw new AppError("unavailable", "the server is starting; try again");
    const { ip, forwardedHost } = clientAddress(request, settings.trustedProxies);
    checkHost(request, allowed, forwardedHost);
    findHandler(request, routes)(request, response, { ip });
  } catch (error) {
    answerError(response, error, settings);
  }
}

function findHandler({ url = "/" }: IncomingMessage, routes: Dispatching["routes"]): Handler {
  if (url.length > URL_CHARACTERS_MAX)
    throw new AppError("payload_too_large", "the address of the request is too long");
  const end = url.search(/[?#]/);
  const path = end < 0 ? url : url.slice(0, end);
  const fitting = routes.find(([route]) => path === route || (route.endsWith("/") && path.startsWith(route)));
  if (fitting === undefined) throw new AppError("not_found", "nothing is served at this path");
  return fitting[1];
}

function answerError(response: ServerResponse, error: unknown, settings: HttpServerSettings): void {
  const correlationId = newId();
  const appError = toAppError(error);
  if (appError.code === "internal") settings.reportError(error, { correlationId });
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const { status, headers, body } = toProblem(appError, correlationId);
  // The body of a refused request stays unread; the connection cannot be used again.
  response.writeHead(status, { ...headers, connection: "close" }).end(body);
}

/** What is no HTTP at all, too large or too slow gets one line and is cut. */
function answerClientError(error: Error & { readonly code?: string }, socket: Duplex): void {
  const status = statusOf(error.code);
  if (socket.writable && error.code !== "ECONNRESET") {
    socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
  } else {
    socket.destroy();
  }
}

function statusOf(code: string | undefined): string {
  if (code === "HPE_HEADER_OVERFLOW") return "431 Request Header Fields Too Large";
  return code === "ERR_HTTP_REQUEST_TIMEOUT" ? "408 Request Timeout" : "400 Bad Request";
}

async function listen(server: Server, { host, port }: HttpServerSettings): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(toListenError(error, host, port)));
    server.listen({ host, port, exclusive: true }, resolve);
  });
}

function toListenError(error: Error & { readonly code?: string }, host: string, port: number): AppError {
  const reasons: Readonly<Record<string, string>> = {
    EADDRINUSE: "is in use; stop the other program or set RUNLAYER_PORT to a free one",
    EACCES: "needs rights that this process lacks; set RUNLAYER_PORT to one above 1023",
    EADDRNOTAVAIL: "is not an address of this machine; set RUNLAYER_HOST to one that is, such as `127.0.0.1`",
  };
  const reason = reasons[error.code ?? ""] ?? "cannot be listened on; check RUNLAYER_HOST and RUNLAYER_PORT";
  return new AppError("unavailable", `\`${host}:${port}\` ${reason}`, { cause: error });
}

async function closeGracefully(server: Server, graceMs: number): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // A connection that finished its request now would be kept alive for the next one, which never comes.
  const sweep = setInterval(() => server.closeIdleConnections(), IDLE_SWEEP_MS);
  const timer = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(sweep);
  clearTimeout(timer);
}

function isTcp(address: AddressInfo | string | null): address is AddressInfo {
  return typeof address === "object" && address !== null;
}
