import { TransientMap } from "../lib/transient-map.ts";
import type { GatewayLimits } from "./context.ts";

/** Bytes of answers that wait in memory until they are complete and their clients have taken them. */
export class HeldBytes {
  readonly #limits: Pick<GatewayLimits, "heldBytesMax" | "heldBytesPerAgentMax">;
  readonly #byAgent = new TransientMap<string, number>();
  #sum = 0;

  constructor(limits: Pick<GatewayLimits, "heldBytesMax" | "heldBytesPerAgentMax">) {
    this.#limits = limits;
  }

  /** Counts `amount` more, or less where it is negative. False where this agent, or all together, hold too much now. */
  add(agentId: string, amount: number): boolean {
    const own = (this.#byAgent.get(agentId) ?? 0) + amount;
    if (own === 0) this.#byAgent.delete(agentId);
    else this.#byAgent.set(agentId, own);
    this.#sum += amount;
    return own <= this.#limits.heldBytesPerAgentMax && this.#sum <= this.#limits.heldBytesMax;
  }
}
