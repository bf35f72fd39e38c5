import { setTimeout as sleep } from "node:timers/promises";
import type { Aggregate } from "./aggregate/aggregate.ts";
import type { GatewayContext } from "./context.ts";

export const SHUTDOWN = {
  status: 503,
  code: "unavailable",
  message: "the gateway shuts down; connect again in a moment",
} as const;
const DRAIN_STEP_MS = 20;
/** What a call inside the gateway was cut off with has to pass two connections in this process, no network. */
const LAST_ANSWERS_MS = 500;

/** Ends standing streams, lets what is in flight finish for at most `timeoutMs`, and then ends it too. */
export async function drain(
  context: GatewayContext,
  { aggregate, timeoutMs }: { aggregate: Aggregate | undefined; timeoutMs: number },
): Promise<void> {
  const { exchanges } = context;
  const until = performance.now() + timeoutMs;
  endStanding(context, aggregate);
  // While it calls no server, a skill or a call on the aggregate's path is no exchange.
  const isIdle = (): boolean => exchanges.count === 0 && (aggregate?.openCalls ?? 0) === 0;
  while (!isIdle() && performance.now() < until) {
    await sleep(DRAIN_STEP_MS);
    // Clients open their streams anew, the gateway's own among them, and what still runs may come to be held.
    endStanding(context, aggregate);
  }
  if (cutOff(context) > 0) await tellLastAnswers(context, aggregate);
  aggregate?.close();
}

/** Calls on the aggregate's path learn from their inner calls that they were cut off, and so do their clients. */
async function tellLastAnswers(context: GatewayContext, aggregate: Aggregate | undefined): Promise<void> {
  const until = performance.now() + LAST_ANSWERS_MS;
  const isAnswered = (): boolean => (aggregate?.openCalls ?? 0) === 0;
  while (!isAnswered() && performance.now() < until) {
    await sleep(DRAIN_STEP_MS);
    // A skill may go on to its next call.
    cutOff(context);
  }
}

/** How many there were. */
function cutOff({ exchanges }: GatewayContext): number {
  const open = exchanges.list();
  for (const exchange of open) exchange.forbid(SHUTDOWN);
  return open.length;
}

function endStanding({ exchanges, heldCalls }: GatewayContext, aggregate: Aggregate | undefined): void {
  aggregate?.endStreams();
  for (const exchange of exchanges.list()) if (!exchange.isCall) exchange.forbid(SHUTDOWN);
  heldCalls.endAll();
}
