import { TransientMap } from "../lib/transient-map.ts";
import type { GatewayLimits } from "./context.ts";
import type { Holder } from "./http/read-body.ts";

/** What is smaller is not counted as held: the number of connections bounds it. */
const COUNTED_BYTES_MIN = 64 * 1024;

type Limits = Pick<GatewayLimits, "heldBytesMax" | "heldBytesPerAgentMax">;

/** What one agent, and all together, have not taken yet. */
export interface UnreadBytes {
  readonly own: number;
  readonly sum: number;
}

/**
 * Bytes that wait in memory, one account for each agent, whichever path it uses: of its messages until they are complete and of answers
 * until its clients have taken them; or of messages until their servers have.
 */
export class HeldBytes {
  readonly #limits: Limits;
  readonly #byAgent = new TransientMap<string, number>();
  #sum = 0;
  #unread: (agentId: string) => UnreadBytes = () => ({ own: 0, sum: 0 });

  constructor(limits: Limits) {
    this.#limits = limits;
  }

  /** What waits on a path that is not told of its writes counts as it is found when somebody asks. */
  include(unread: (agentId: string) => UnreadBytes): void {
    this.#unread = unread;
  }

  /** Counts `amount` more, or less where it is negative. False where this agent, or all together, hold too much now. */
  add(agentId: string, amount: number): boolean {
    const own = (this.#byAgent.get(agentId) ?? 0) + amount;
    if (own === 0) this.#byAgent.delete(agentId);
    else this.#byAgent.set(agentId, own);
    this.#sum += amount;
    return amount <= 0 || this.hasRoom(agentId);
  }

  /** For a message that is no exchange. It MUST be told in the end that nothing is held. */
  holderFor(agentId: string): Holder {
    let held = 0;
    return {
      hold: (bytes) => {
        const more = countedBytes(bytes) - held;
        held += more;
        return more === 0 || this.add(agentId, more);
      },
    };
  }

  /** False where the agent holds more than it may, or holds anything while all together hold too much. */
  hasRoom(agentId: string): boolean {
    const unread = this.#unread(agentId);
    const own = (this.#byAgent.get(agentId) ?? 0) + unread.own;
    const sum = this.#sum + unread.sum;
    return own <= this.#limits.heldBytesPerAgentMax && (own === 0 || sum <= this.#limits.heldBytesMax);
  }
}

/** How much of a message that comes, or of an answer that is being made, counts. */
export function countedBytes(bytes: number): number {
  return bytes < COUNTED_BYTES_MIN ? 0 : bytes;
}
