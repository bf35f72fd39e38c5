import type { Exchange } from "./exchange.ts";
import { MODERN_VERSION, passedHeaders, protocolVersionOf } from "./http/request-headers.ts";

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
