import type { ServerResponse } from "node:http";
import type { GatewayLimits } from "../context.ts";
import { cutOffIfStalled } from "../http/cut-off-stalled.ts";

interface OpenAnswer {
  readonly agentId: string;
  /** Comes to an end by itself, as opposed to a stream that stands open for whatever may come. */
  readonly isCall: boolean;
}

type Limits = Pick<GatewayLimits, "heldBytesMax" | "heldBytesPerAgentMax" | "stalledClientMs">;

/**
 * The answers of `/gateway/mcp` that are open. What an answer is made of was read from the servers at once, so that what its client
 * does not take waits here.
 */
export class OpenAnswers {
  readonly #limits: Limits;
  readonly #open = new Map<ServerResponse, OpenAnswer>();

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** How many will end by themselves. */
  get callCount(): number {
    let count = 0;
    for (const { isCall } of this.#open.values()) if (isCall) count += 1;
    return count;
  }

  /** Follows an answer until it closes, and cuts off a client that does not take it. What is said last of it counts. */
  follow(response: ServerResponse, answer: OpenAnswer): void {
    if (response.destroyed) return;
    if (!this.#open.has(response)) {
      cutOffIfStalled(response, this.#limits.stalledClientMs);
      response.once("close", () => this.#open.delete(response));
    }
    this.#open.set(response, answer);
  }

  /** False where the agent has left more unread than it may. One that reads what it is answered always has room. */
  hasRoom(agentId: string): boolean {
    let own = 0;
    let sum = 0;
    for (const [response, answer] of this.#open) {
      sum += response.writableLength;
      if (answer.agentId === agentId) own += response.writableLength;
    }
    return own <= this.#limits.heldBytesPerAgentMax && (own === 0 || sum <= this.#limits.heldBytesMax);
  }
}
