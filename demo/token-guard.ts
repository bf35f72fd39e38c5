import { createServer, request, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { once } from "node:events";

/** A reverse proxy that wants a bearer token, as stands before most internal servers; it remembers what it was shown. */
export interface TokenGuard {
  readonly url: string;
  /** Every `Authorization` that came, in the order of first sight. */
  readonly seen: ReadonlySet<string>;
  close(): Promise<void>;
}

/** Puts a guard on a free port before the server on `port`. What lacks the token gets 401 and goes no further. */
export async function startTokenGuard({ port, token }: { port: number; token: string }): Promise<TokenGuard> {
  const seen = new Set<string>();
  const guard = createServer((incoming, answer) => {
    const { authorization = "" } = incoming.headers;
    seen.add(authorization);
    if (authorization === `Bearer ${token}`) pass(incoming, answer, port);
    else answer.writeHead(401, { "www-authenticate": "Bearer" }).end();
  });
  guard.listen(0, "127.0.0.1");
  await once(guard, "listening");
  return { url: `http://127.0.0.1:${listeningPort(guard)}/mcp`, seen, close: () => close(guard) };
}

function pass(incoming: IncomingMessage, answer: ServerResponse, port: number): void {
  const { method = "GET", url = "/", headers } = incoming;
  const outgoing = request({ host: "127.0.0.1", port, method, path: url, headers });
  outgoing.on("response", (response) => {
    answer.writeHead(response.statusCode ?? 502, response.headers);
    response.pipe(answer);
  });
  outgoing.on("error", () => answer.destroy());
  answer.on("close", () => outgoing.destroy());
  incoming.pipe(outgoing);
}

/** A port that was free a moment ago, for a program that cannot choose one itself. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const port = listeningPort(server);
  await close(server);
  return port;
}

function listeningPort(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("a listening server has a port");
  return address.port;
}

async function close(server: Server): Promise<void> {
  const closed = once(server, "close");
  server.close();
  server.closeAllConnections();
  await closed;
}
