import type { GatewayContext } from "./context.ts";
import type { Exchange } from "./exchange.ts";
import { MODERN_VERSION, passedHeaders, protocolVersionOf } from "./http/request-headers.ts";
import type { UpstreamSink } from "./upstream.ts";

/** A body that is not looked at is read so far, so that its connection can serve again; one that goes on costs the connection. */
export const IGNORED_BYTES_MAX = 64 * 1024;

export const ACCEPT_POST = "application/json, text/event-stream";

/** Names and values in turn of what an upstream gets with a message; everything that is not named here stays behind. */
export function upstreamHeaders(exchange: Exchange, modern: readonly string[] = []): string[] {
  const { headers } = exchange.request;
  const version = protocolVersionOf(headers);
  return [
    ...passedHeaders(headers),
    ...(version === undefined ? [] : ["mcp-protocol-version", version]),
    ...(exchange.session === undefined || version === MODERN_VERSION
      ? []
      : ["mcp-session-id", exchange.session.upstreamId]),
    ...modern,
  ];
}

export function postHeaders(exchange: Exchange, modern: readonly string[] = []): string[] {
  return ["content-type", "application/json", "accept", ACCEPT_POST, ...upstreamHeaders(exchange, modern)];
}

/** Sends a message of the gateway's own in the client's session. Nobody waits for what comes back. */
export function postToUpstream(exchange: Exchange, body: Buffer): void {
  const sink = new IgnoredAnswer(exchange.context, exchange.caller.server.server.name);
  exchange.upstream.send({ method: "POST", headers: postHeaders(exchange), body }, sink);
}

/** Takes an answer that nobody waits for; a failure is reported. */
export class IgnoredAnswer implements UpstreamSink {
  readonly #context: Pick<GatewayContext, "onProblem">;
  readonly #serverName: string;

  constructor(context: Pick<GatewayContext, "onProblem">, serverName: string) {
    this.#context = context;
    this.#serverName = serverName;
  }

  head(): void {
    // The status changes nothing: there is nobody to tell.
  }

  data(): void {
    // Read to its end, so that the connection can serve again.
  }

  end(): void {
    // Nothing to do.
  }

  fail({ text, cause }: Parameters<UpstreamSink["fail"]>[0]): void {
    this.#context.onProblem(`server \`${this.#serverName}\`: ${text}`, cause);
  }
}
