import type { RpcId } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { PendingCall } from "./pending-call.ts";

/** More than come back at one time. Each holds its decision, some kilobytes; no agent pushes out all calls of the others. */
const WAITING_LIMITS = { callsMax: 10_000, callsPerAgentMax: 1_000 };

/** Of those whose answers went out: a client that did not get its one comes back within seconds. */
export const ANSWERED_LIMITS = { callsMax: 2_000, callsPerAgentMax: 100 };

interface SuspendedCall {
  readonly call: PendingCall;
  readonly agentId: string;
  readonly sessionId: string | undefined;
  since: number;
}

/**
 * Calls whose event stream ended before their answer: the client lost its connection, or the server closed it to let the client come
 * back (2025-11-25). The answer then comes on a resumed stream, whose event ids tell which call it is: ids of requests repeat, within
 * a session and more so without one. Bounded: the oldest are given up.
 */
export class SuspendedCalls {
  readonly #limits: typeof WAITING_LIMITS;
  readonly #calls = new Map<string, SuspendedCall>();
  readonly #countByAgent = new Map<string, number>();

  constructor(limits = WAITING_LIMITS) {
    this.#limits = limits;
  }

  /** `key` MUST be the one that the event ids of the call's stream hold. */
  add(key: string, call: PendingCall, { agentId, sessionId, now }: Owner): void {
    call.letGoOfMessage();
    this.#remove(key);
    this.#calls.set(key, { call, agentId, sessionId, since: now });
    const count = (this.#countByAgent.get(agentId) ?? 0) + 1;
    this.#countByAgent.set(agentId, count);
    if (count > this.#limits.callsPerAgentMax) this.#giveUpOldest((suspended) => suspended.agentId === agentId);
    if (this.#calls.size > this.#limits.callsMax) this.#giveUpOldest(() => true);
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

  /** Nobody can come back for its calls. */
  endSession(sessionId: string): void {
    this.settleWhere((suspended) => suspended.sessionId === sessionId, "session_ended");
  }

  settleWhere(matches: (suspended: SuspendedCall) => boolean, reason: string): void {
    for (const [key, suspended] of this.#calls)
      if (matches(suspended)) this.#remove(key)?.settle({ outcome: "error", reason });
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

interface Owner {
  readonly agentId: string;
  readonly sessionId?: string | undefined;
  readonly now: number;
}

/** Lets the call wait for a resumed stream. False where none can bring its answer: no event id was given, or it was taken back. */
export function suspend({ pending, callKey, context, scope, session }: Exchange): boolean {
  if (pending === undefined || pending.isSettled || pending.isCancelled || callKey === undefined) return false;
  const owner = { agentId: scope.agentId, sessionId: session?.id, now: context.clock.now() };
  context.suspended.add(callKey, pending, owner);
  return true;
}
