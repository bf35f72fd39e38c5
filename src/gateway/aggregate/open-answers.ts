import type { ServerResponse } from "node:http";
import type { ServerContext } from "@modelcontextprotocol/server";
import type { GatewayContext } from "../context.ts";
import { countedBytes, type UnreadBytes } from "../held-bytes.ts";
import { cutOffIfStalled } from "../http/cut-off-stalled.ts";
import { responseOf } from "./client-gone.ts";

interface OpenAnswer {
  readonly agentId: string;
  /** Comes to an end by itself, as opposed to a stream that stands open for whatever may come. */
  readonly isCall: boolean;
}

interface CountedAnswer extends OpenAnswer {
  /** What is going to be written, from before that until the answer closes. */
  readonly expectedBytes: number;
}

/**
 * The answers of `/gateway/mcp` that are open. What an answer is made of was read from the servers at once, so that what its client
 * does not take waits here.
 */
export class OpenAnswers {
  readonly #context: Pick<GatewayContext, "limits" | "heldBytes">;
  readonly #open = new Map<ServerResponse, CountedAnswer>();

  constructor(context: Pick<GatewayContext, "limits" | "heldBytes">) {
    this.#context = context;
    context.heldBytes.include((agentId) => this.#unreadOf(agentId));
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
      cutOffIfStalled(response, this.#context.limits);
      response.once("close", () => this.#open.delete(response));
    }
    this.#open.set(response, { ...answer, expectedBytes: 0 });
  }

  /**
   * Keeps room for an answer of so many bytes: of answers that are made at one time each counts before any is written. False where
   * there is none: then the answer MUST be dropped.
   */
  makeRoom(context: ServerContext, bytes: number): boolean {
    const response = responseOf(context);
    const answer = response === undefined ? undefined : this.#open.get(response);
    // Its client has gone.
    if (response === undefined || answer === undefined) return true;
    this.#open.set(response, { ...answer, expectedBytes: countedBytes(bytes) });
    if (this.#context.heldBytes.hasRoom(answer.agentId)) return true;
    this.#open.set(response, answer);
    return false;
  }

  #unreadOf(agentId: string): UnreadBytes {
    let own = 0;
    let sum = 0;
    for (const [response, answer] of this.#open) {
      const bytes = Math.max(response.writableLength, answer.expectedBytes);
      sum += bytes;
      if (answer.agentId === agentId) own += bytes;
    }
    return { own, sum };
  }
}
