import { TransientMap } from "../lib/transient-map.ts";
import type { Snapshot } from "../snapshot/snapshot.ts";
import { recheck, type AccessRefusal } from "./access.ts";
import type { Caller } from "./decide.ts";

/** A request or stream in flight. */
export interface LiveExchange {
  readonly caller: Caller;
  /** What comes from now on is decided by the new snapshot. */
  renew(caller: Caller): void;
  /** A message on its way, as opposed to a stream that stands open for whatever may come. */
  readonly isCall: boolean;
  /** Ends both directions at once: the upstream's side is aborted, the client's is closed. */
  forbid(refusal: AccessRefusal): void;
}

/** Everything that is open now, so that a change can end it before the operation that made it answers. */
export interface LiveExchanges {
  add(exchange: LiveExchange): void;
  remove(exchange: LiveExchange): void;
  /** Ends what the snapshot no longer allows, and decides the rest by it. Synchronous. */
  enforce(snapshot: Snapshot, nowMs: number): void;
  list(): readonly LiveExchange[];
  readonly count: number;
}

export function createLiveExchanges(): LiveExchanges {
  const live = new TransientMap<LiveExchange, true>();
  return {
    add: (exchange) => live.set(exchange, true),
    remove: (exchange) => void live.delete(exchange),
    enforce(snapshot, nowMs) {
      for (const exchange of live.keys()) {
        const access = recheck(exchange.caller, snapshot, nowMs);
        if (access.ok) exchange.renew(access.caller);
        else exchange.forbid(access.refusal);
      }
    },
    list: () => [...live.keys()],
    get count() {
      return live.size;
    },
  };
}
