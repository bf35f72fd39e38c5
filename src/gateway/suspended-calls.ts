import type { RpcId } from "./envelope/envelope.ts";
import type { PendingCall } from "./pending-call.ts";

/**
 * Calls whose event stream ended before their answer (2025-11-25: a server may close it and let the client come back with the
 * last event id). The answer then comes on a resumed stream of the same session.
 */
export class SuspendedCalls {
  readonly #calls = new Map<string, { readonly call: PendingCall; readonly since: number }>();

  add(sessionId: string, call: PendingCall, now: number): void {
    this.#calls.set(keyOf(sessionId, call.facts.envelope.id), { call, since: now });
  }

  take(sessionId: string, id: RpcId): PendingCall | undefined {
    const key = keyOf(sessionId, id);
    const found = this.#calls.get(key)?.call;
    this.#calls.delete(key);
    return found;
  }

  /** Settles those that nobody came back for. */
  expire(before: number): void {
    for (const [key, { call, since }] of this.#calls) {
      if (since >= before) continue;
      this.#calls.delete(key);
      call.settle({ outcome: "error", reason: "no_answer" });
    }
  }
}

function keyOf(sessionId: string, id: RpcId): string {
  return `${sessionId} ${JSON.stringify(id)}`;
}
