import type { RpcId } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { PendingCall } from "./pending-call.ts";

/** More than come back at one time. Each holds its decision, some kilobytes. */
const CALLS_MAX = 10_000;

/** So that no agent pushes out the calls of the others. */
const CALLS_PER_AGENT_MAX = 1_000;

interface SuspendedCall {
  readonly call: PendingCall;
  readonly agentId: string;
  since: number;
}

/**
 * Calls whose event stream ended before their answer: the client lost its connection, or the server closed it to let the client come
 * back (2025-11-25). The answer then comes on a resumed stream, whose event ids tell which call it is: ids of requests repeat, within
 * a session and more so without one. Bounded: the oldest are given up.
 */
export class SuspendedCalls {
  readonly #calls = new Map<string, SuspendedCall>();
  readonly #countByAgent = new Map<string, number>();

  /** `key` MUST be the one that the event ids of the call's stream hold. */
  add(key: string, call: PendingCall, { agentId, now }: { readonly agentId: string; readonly now: number }): void {
    call.letGoOfMessage();
    this.#remove(key);
    this.#calls.set(key, { call, agentId, since: now });
    const count = (this.#countByAgent.get(agentId) ?? 0) + 1;
    this.#countByAgent.set(agentId, count);
    if (count > CALLS_PER_AGENT_MAX) this.#giveUpOldest((suspended) => suspended.agentId === agentId);
    if (this.#calls.size > CALLS_MAX) this.#giveUpOldest(() => true);
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

  #giveUpOldest(matches: (suspended: SuspendedCall) => boolean): void {
    for (const [key, suspended] of this.#calls) if (matches(suspended)) return this.#giveUp(key);
  }

  #giveUp(key: string): void {
    this.#remove(key)?.settle({ outcome: "error", reason: "no_answer" });
  }

  #remove(key: string): PendingCall | undefined {
    const found = this.#calls.get(key);
    if (found === undefined) return undefined;
    this.#calls.delete(key);
    const left = (this.#countByAgent.get(found.agentId) ?? 0) - 1;
    if (left > 0) this.#countByAgent.set(found.agentId, left);
    else this.#countByAgent.delete(found.agentId);
    return found.call;
  }
}

/** Lets the call wait for a resumed stream. False where none can bring its answer: no event id was given, or it was taken back. */
export function suspend({ pending, callKey, context, scope }: Exchange): boolean {
  if (pending === undefined || pending.isSettled || pending.isCancelled || callKey === undefined) return false;
  context.suspended.add(callKey, pending, { agentId: scope.agentId, now: context.clock.now() });
  return true;
}
