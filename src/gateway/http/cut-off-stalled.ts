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

/** Resolves when the client has taken what it was sent so far, or its connection has closed: it is cut off in the same way. */
export function untilTaken(response: ServerResponse, { stalledClientMs, slowClientMs }: Limits): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const cutOff = (): void => void response.destroy();
  const timer = setTimeout(cutOff, slowClientMs).unref();
  // In the turn of the event itself: whoever ends the answer after it sets a limit of its own.
  const settle = (): void => {
    clearTimeout(timer);
    response.setTimeout(0).off("timeout", cutOff).off("drain", settle).off("close", settle);
    resolve();
  };
  response.setTimeout(stalledClientMs, cutOff).on("drain", settle).on("close", settle);
  return promise;
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
