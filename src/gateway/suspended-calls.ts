import type { RpcId } from "./envelope/envelope.ts";
import type { PendingCall } from "./pending-call.ts";

/** More than come back at one time. Each holds its decision, some kilobytes. */
const CALLS_MAX = 10_000;

/**
 * Calls whose event stream ended before their answer (2025-11-25: a server may close it and let the client come back with the
 * last event id). The answer then comes on a resumed stream of the same session. Bounded: the oldest are given up.
 */
export class SuspendedCalls {
  readonly #calls = new Map<string, { readonly call: PendingCall; readonly since: number }>();

  /** A call of the same session and id that is there already is given up: no answer could be told to be its own. */
  add(sessionId: string, call: PendingCall, now: number): void {
    call.letGoOfMessage();
    const key = keyOf(sessionId, call.facts.envelope.id);
    this.#giveUp(key);
    this.#calls.set(key, { call, since: now });
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > CALLS_MAX && oldest !== undefined) this.#giveUp(oldest);
  }

  take(sessionId: string, id: RpcId): PendingCall | undefined {
    return this.#remove(keyOf(sessionId, id));
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

function keyOf(sessionId: string, id: RpcId): string {
  return `${sessionId} ${JSON.stringify(id)}`;
}
