import type { ServerResponse } from "node:http";
import type { GatewayLimits } from "../context.ts";

type Limits = Pick<GatewayLimits, "stalledClientMs" | "slowClientMs">;

/** How late an answer that is taken too slowly is noticed: by one part of the time that it may take. */
const CHECKS = 10;

/**
 * Cuts off a client that does not take the answer that has just been ended: nothing of it for `stalledClientMs`, or not all of it
 * in `slowClientMs`. Sets nothing up for an answer that the socket took at once, as it takes most.
 */
export function cutOffStalled(response: ServerResponse, { stalledClientMs, slowClientMs }: Limits): void {
  if (response.writableLength === 0 || response.destroyed) return;
  // Node looks at what the socket still has to send before it says that nothing moves.
  response.setTimeout(stalledClientMs, () => response.destroy());
  const timer = setTimeout(() => response.destroy(), slowClientMs).unref();
  response.once("close", () => clearTimeout(timer));
}

/** The same for an answer that somebody else writes and ends: the times are of what waits to be taken. */
export function cutOffIfStalled(response: ServerResponse, { stalledClientMs, slowClientMs }: Limits): void {
  response.setTimeout(stalledClientMs, () => {
    // Where nothing waits to be taken, only the server is silent.
    if (response.writableLength > 0) response.destroy();
  });
  let waiting = 0;
  const timer = setInterval(() => {
    waiting = response.writableLength === 0 ? 0 : waiting + 1;
    if (waiting > CHECKS) response.destroy();
  }, slowClientMs / CHECKS).unref();
  response.on("drain", () => {
    waiting = 0;
  });
  response.once("close", () => clearInterval(timer));
}
