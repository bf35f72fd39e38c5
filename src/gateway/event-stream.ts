import type { Exchange } from "./exchange.ts";

const COMMENT = Buffer.from(":\n\n");

/** Sends the head of an event stream, once. */
export function beginStream(exchange: Exchange): void {
  const { response } = exchange;
  if (response.headersSent || response.destroyed) return;
  exchange.isStream = true;
  response.writeHead(200, {
    "content-type": "text/event-stream",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
    ...exchange.answerHeaders,
  });
}

/** Sends a comment on a stream on which nothing waits to be taken: clients, and what is between, give up a silent connection. */
export function keepAlive({ isStream, response }: Exchange): void {
  if (!isStream || response.writableEnded || response.destroyed || response.writableLength > 0) return;
  response.write(COMMENT);
}
