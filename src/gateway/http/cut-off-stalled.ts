import type { ServerResponse } from "node:http";

/** Whoever takes an answer, however slowly, has it by then. */
const TAKING_MS_MAX = 10 * 60_000;

/**
 * Cuts off a client that does not take the answer that has just been ended: nothing of it for `stalledMs`, or not all of it in ten
 * minutes. Sets nothing up for an answer that the socket took at once, as it takes most.
 */
export function cutOffStalled(response: ServerResponse, stalledMs: number): void {
  if (response.writableLength === 0 || response.destroyed) return;
  // Node looks at what the socket still has to send before it says that nothing moves.
  response.setTimeout(stalledMs, () => response.destroy());
  const timer = setTimeout(() => response.destroy(), TAKING_MS_MAX).unref();
  response.once("close", () => clearTimeout(timer));
}

/** The same for an answer that somebody else writes and ends: a client takes nothing of what it has to take for `stalledMs`. */
export function cutOffIfStalled(response: ServerResponse, stalledMs: number): void {
  response.setTimeout(stalledMs, () => {
    // Where nothing waits to be taken, only the server is silent.
    if (response.writableLength > 0) response.destroy();
  });
}
