import type { ApprovalStore } from "./approvals.ts";
import type { RpcId } from "./envelope/envelope.ts";
import type { Exchange } from "./exchange.ts";
import type { HandleScope } from "./seal.ts";

/**
 * How a wait ended: a person decided; the limit came, or this node has no place left for one more; the client took its request
 * back; or it is gone.
 */
export type HoldEnd = "decided" | "limit" | "cancelled" | "gone";

export interface HeldCallLimits {
  readonly heldCallsMax: number;
  readonly heldCallsPerAgentMax: number;
  readonly heldCallMs: number;
}

interface OpenHold extends HandleScope {
  readonly sessionId: string | undefined;
  readonly requestId: RpcId;
  readonly end: (how: HoldEnd) => void;
}

/** The calls of this node that wait open for an approval; bounded, because each costs a connection. */
export class HeldCalls {
  readonly #limits: HeldCallLimits;
  readonly #open = new Set<OpenHold>();

  constructor(limits: HeldCallLimits) {
    this.#limits = limits;
  }

  /** Waits for a person's decision, no longer than the limit. Never rejects for what the store does: then the limit has come. */
  async wait(
    exchange: Exchange,
    { approvalId, requestId, approvals }: { approvalId: string; requestId: RpcId; approvals: ApprovalStore },
  ): Promise<HoldEnd> {
    if (exchange.isOver) return "gone";
    if (!this.#hasRoom(exchange.scope.agentId)) return "limit";
    const { promise, resolve: end } = Promise.withResolvers<HoldEnd>();
    const over = new AbortController();
    const hold = { ...exchange.scope, sessionId: exchange.session?.id, requestId, end };
    const gone = (): void => end("gone");
    const timer = setTimeout(() => end("limit"), this.#limits.heldCallMs);
    exchange.response.once("close", gone);
    this.#open.add(hold);
    approvals.decided(approvalId, over.signal).then(
      () => end("decided"),
      (error: unknown) => {
        exchange.context.onProblem("an approval could not be waited for", error);
        end("limit");
      },
    );
    try {
      return await promise;
    } finally {
      this.#open.delete(hold);
      clearTimeout(timer);
      exchange.response.off("close", gone);
      over.abort();
    }
  }

  /** One agent may not take every place. */
  #hasRoom(agentId: string): boolean {
    const { heldCallsMax, heldCallsPerAgentMax } = this.#limits;
    if (this.#open.size >= heldCallsMax) return false;
    const own = [...this.#open].filter((hold) => hold.agentId === agentId);
    return own.length < heldCallsPerAgentMax;
  }

  /** The client took back a request (`notifications/cancelled`). False where none of that id waits here. */
  cancel({ scope, session }: Exchange, requestId: unknown): boolean {
    const matching = [...this.#open].filter(
      (hold) =>
        hold.agentId === scope.agentId &&
        hold.serverId === scope.serverId &&
        hold.sessionId === session?.id &&
        hold.requestId === requestId,
    );
    for (const { end } of matching) end("cancelled");
    return matching.length > 0;
  }

  /** Lets every client know now that its call still waits. */
  endAll(): void {
    for (const { end } of this.#open) end("limit");
  }
}
