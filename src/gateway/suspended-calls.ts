import type { RpcId } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { PendingCall } from "./pending-call.ts";

/** More than come back at one time. Each holds its decision, some kilobytes. */
const CALLS_MAX = 10_000;

/**
 * Calls whose event stream ended before their answer: the client lost its connection, or the server closed it to let the client come
 * back (2025-11-25). The answer then comes on a resumed stream, whose event ids tell which call it is: ids of requests repeat, within
 * a session and more so without one. Bounded: the oldest are given up.
 */
export class SuspendedCalls {
  readonly #calls = new Map<string, { readonly call: PendingCall; since: number }>();

  /** `key` MUST be the one that the event ids of the call's stream hold. */
  add(key: string, call: PendingCall, now: number): void {
    call.letGoOfMessage();
    this.#calls.set(key, { call, since: now });
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > CALLS_MAX && oldest !== undefined) this.#giveUp(oldest);
  }

  /** The client has come back for the call, and so waits for it still. */
  touch(key: string, now: number): void {
    const found = this.#calls.get(key);
    if (found !== undefined) found.since = now;
  }

  take(key: string, id: RpcId): PendingCall | undefined {
    return this.#calls.get(key)?.call.facts.envelope.id === id ? this.#remove(key) : undefined;
  }

  /** Settles those that nobody came back for. */
  expire(before: number): void {
    for (const [key, { since }] of this.#calls) if (since < before) this.#giveUp(key);
  }

  #giveUp(key: string): void {
    this.#remove(key)?.settle({ outcome: "error", reason: "no_answer" });
  }

  #remove(key: string): PendingCall | undefined {
    const found = this.#calls.get(key)?.call;
    this.#calls.delete(key);
    return found;
  }
}

/** Lets the call wait for a resumed stream. False where none can bring its answer: no event id was given, or it was taken back. */
export function suspend({ pending, callKey, context }: Exchange): boolean {
  if (pending === undefined || pending.isSettled || pending.isCancelled || callKey === undefined) return false;
  context.suspended.add(callKey, pending, context.clock.now());
  return true;
}
