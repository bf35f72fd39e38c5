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

/** A request that may come to wait, as its client takes it back. */
interface FollowedRequest extends HandleScope {
  readonly sessionId: string | undefined;
  readonly requestId: RpcId;
  readonly taken: AbortController;
}

/** Knows whether the client took its request back. MUST be disposed when the request goes on. */
export interface Following extends Disposable {
  readonly taken: AbortSignal;
}

interface OpenHold {
  readonly agentId: string;
  readonly end: (how: HoldEnd) => void;
}

interface Wait {
  readonly agentId: string;
  readonly approvalId: string;
  readonly approvals: ApprovalStore;
  /** The client is gone. */
  readonly signal: AbortSignal;
  /** The client took its request back. */
  readonly taken?: AbortSignal | undefined;
  readonly onProblem: (message: string, cause: unknown) => void;
}

/** The calls of this node that wait open for an approval; bounded, because each costs a connection. */
export class HeldCalls {
  readonly #limits: HeldCallLimits;
  readonly #open = new Set<OpenHold>();
  readonly #followed = new Set<FollowedRequest>();

  constructor(limits: HeldCallLimits) {
    this.#limits = limits;
  }

  /** From now on a request that is taken back is known as such: its client may do so before anything waits. */
  follow({ scope, session }: Exchange, requestId: RpcId): Following {
    const taken = new AbortController();
    const followed = { ...scope, sessionId: session?.id, requestId, taken };
    this.#followed.add(followed);
    return { taken: taken.signal, [Symbol.dispose]: () => void this.#followed.delete(followed) };
  }

  /** Waits for a person's decision, no longer than the limit. Never rejects for what the store does: then the limit has come. */
  async wait(
    exchange: Exchange,
    { approvalId, taken, approvals }: { approvalId: string; taken: AbortSignal; approvals: ApprovalStore },
  ): Promise<HoldEnd> {
    const { context, response, scope } = exchange;
    const client = new AbortController();
    const gone = (): void => client.abort();
    if (exchange.isOver) gone();
    response.once("close", gone);
    try {
      const { agentId } = scope;
      const { onProblem } = context;
      return await this.#wait({ agentId, approvalId, approvals, signal: client.signal, taken, onProblem });
    } finally {
      response.off("close", gone);
    }
  }

  /** The same for a run of a skill. */
  async waitForRun(wait: Wait): Promise<HoldEnd> {
    return this.#wait(wait);
  }

  /** The client took back a request (`notifications/cancelled`). False where none of that id waits here. */
  cancel({ scope, session }: Exchange, requestId: unknown): boolean {
    const matching = [...this.#followed].filter(
      (followed) =>
        followed.agentId === scope.agentId &&
        followed.serverId === scope.serverId &&
        followed.sessionId === session?.id &&
        followed.requestId === requestId,
    );
    for (const { taken } of matching) taken.abort();
    return matching.length > 0;
  }

  /** Lets every client know now that its call still waits. */
  endAll(): void {
    for (const { end } of this.#open) end("limit");
  }

  async #wait({ agentId, approvalId, approvals, signal, taken, onProblem }: Wait): Promise<HoldEnd> {
    if (signal.aborted) return "gone";
    if (taken?.aborted === true) return "cancelled";
    if (!this.#hasRoom(agentId)) return "limit";
    const { promise, resolve: end } = Promise.withResolvers<HoldEnd>();
    const over = new AbortController();
    const hold = { agentId, end };
    const timer = setTimeout(() => end("limit"), this.#limits.heldCallMs);
    signal.addEventListener("abort", () => end("gone"), { signal: over.signal });
    taken?.addEventListener("abort", () => end("cancelled"), { signal: over.signal });
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
}
