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

/** The request that a hold is the answer to, as its client takes it back. */
interface HeldRequest extends HandleScope {
  readonly sessionId: string | undefined;
  readonly requestId: RpcId;
}

/** What is held: a request, or a run of a skill, which has none of its own to take back. */
type Held = HeldRequest | { readonly agentId: string; readonly requestId?: undefined };

interface OpenHold {
  readonly held: Held;
  readonly end: (how: HoldEnd) => void;
}

interface Wait {
  readonly approvalId: string;
  readonly approvals: ApprovalStore;
  /** The client is gone, or took its request back. */
  readonly signal: AbortSignal;
  readonly onProblem: (message: string, cause: unknown) => void;
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
    const { context, scope, session, response } = exchange;
    const client = new AbortController();
    const gone = (): void => client.abort();
    if (exchange.isOver) gone();
    response.once("close", gone);
    try {
      const wait = { approvalId, approvals, signal: client.signal, onProblem: context.onProblem };
      return await this.#wait(wait, { ...scope, sessionId: session?.id, requestId });
    } finally {
      response.off("close", gone);
    }
  }

  /** The same for a run of a skill. */
  async waitForRun(agentId: string, wait: Wait): Promise<HoldEnd> {
    return this.#wait(wait, { agentId });
  }

  /** The client took back a request (`notifications/cancelled`). False where none of that id waits here. */
  cancel({ scope, session }: Exchange, requestId: unknown): boolean {
    const matching = [...this.#open].filter(
      ({ held }) =>
        held.requestId !== undefined &&
        held.requestId === requestId &&
        held.agentId === scope.agentId &&
        held.serverId === scope.serverId &&
        held.sessionId === session?.id,
    );
    for (const { end } of matching) end("cancelled");
    return matching.length > 0;
  }

  /** Lets every client know now that its call still waits. */
  endAll(): void {
    for (const { end } of this.#open) end("limit");
  }

  async #wait({ approvalId, approvals, signal, onProblem }: Wait, held: Held): Promise<HoldEnd> {
    if (signal.aborted) return "gone";
    if (!this.#hasRoom(held.agentId)) return "limit";
    const { promise, resolve: end } = Promise.withResolvers<HoldEnd>();
    const over = new AbortController();
    const hold = { held, end };
    const gone = (): void => end("gone");
    const timer = setTimeout(() => end("limit"), this.#limits.heldCallMs);
    signal.addEventListener("abort", gone, { once: true });
    this.#open.add(hold);
    approvals.decided(approvalId, over.signal).then(
      () => end("decided"),
      (error: unknown) => {
        onProblem("an approval could not be waited for", error);
        end("limit");
      },
    );
    try {
      return await promise;
    } finally {
      this.#open.delete(hold);
      clearTimeout(timer);
      signal.removeEventListener("abort", gone);
      over.abort();
    }
  }

  /** One agent may not take every place. */
  #hasRoom(agentId: string): boolean {
    const { heldCallsMax, heldCallsPerAgentMax } = this.#limits;
    if (this.#open.size >= heldCallsMax) return false;
    const own = [...this.#open].filter(({ held }) => held.agentId === agentId);
    return own.length < heldCallsPerAgentMax;
  }
}
