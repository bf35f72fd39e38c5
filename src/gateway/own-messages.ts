import { TransientMap } from "../lib/transient-map.ts";
import type { Exchange } from "./exchange.ts";
import { sendIgnoringAnswer } from "./ignored-answer.ts";
import { postHeaders } from "./upstream-headers.ts";

/** On their way at one time, for one agent to one server. */
const SENT_MAX = 8;

interface Lane {
  sent: number;
  /** One for each exchange at most: whoever waits does nothing else. */
  readonly waiting: (() => void)[];
}

/**
 * Messages of the gateway's own to servers, in the sessions of clients: errors in answer to what a server may not ask. They go out a
 * few at a time, so that a server which asks without end makes itself wait and takes no more connections than these.
 */
export class OwnMessages {
  readonly #lanes = new TransientMap<string, Lane>();

  /** Resolves when the message has left, or the exchange has ended before. Nobody waits for what comes back; a failure is reported. */
  async send(exchange: Exchange, body: Buffer): Promise<void> {
    const { context, caller, scope, upstream } = exchange;
    const key = `${scope.agentId} ${scope.serverId}`;
    const lane = await this.#enter(key);
    if (exchange.isOver) return this.#leave(key, lane);
    sendIgnoringAnswer(upstream, { method: "POST", headers: postHeaders(exchange), body }, (fault) => {
      if (fault !== undefined) context.onProblem(`server \`${caller.server.server.name}\`: ${fault.text}`, fault.cause);
      this.#leave(key, lane);
    });
  }

  async #enter(key: string): Promise<Lane> {
    const lane = this.#lanes.get(key) ?? { sent: 0, waiting: [] };
    this.#lanes.set(key, lane);
    if (lane.sent === SENT_MAX) await new Promise<void>((resolve) => lane.waiting.push(resolve));
    else lane.sent += 1;
    return lane;
  }

  /** Whoever waits takes the place that becomes free. */
  #leave(key: string, lane: Lane): void {
    const next = lane.waiting.shift();
    if (next !== undefined) return next();
    lane.sent -= 1;
    if (lane.sent === 0) this.#lanes.delete(key);
  }
}
