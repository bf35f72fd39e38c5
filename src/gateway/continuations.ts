import { createHash } from "node:crypto";
import { memberOf, textAt, type RequestEnvelope, type ResponseEnvelope } from "./envelope/envelope.ts";

/** Of an approved call: what ties its events together, and everything that its approval was bound to (see `bindingHashOf`). */
export interface ApprovedCall {
  readonly correlationId: string;
  readonly approvalId: string;
  readonly bindingHash: string;
}

interface Kept {
  readonly call: ApprovedCall;
  readonly expiresAt: number;
}

interface Sought {
  readonly bindingHash: string;
  /** The upstream's own. */
  readonly state: string | undefined;
  readonly now: number;
}

/** More than people approve in the time that one of these is used in. */
const CONTINUATIONS_MAX = 10_000;

/**
 * Approved calls whose upstream asked something back (2026-07-28, `input_required`): the client's next message is the same
 * dispatch, not another one. Kept on this node only: elsewhere, and after a restart, such a message is held anew.
 */
export class Continuations {
  readonly #calls = new Map<string, Kept>();

  /** Notes what the upstream's answer to an approved call issued, if it asks for more. */
  note({ bytes, result }: ResponseEnvelope, call: ApprovedCall, expiresAt: number): void {
    if (textAt(bytes, memberOf(result, "resultType")) !== "input_required") return;
    const key = keyOf(call.bindingHash, textAt(bytes, memberOf(result, "requestState")));
    // The newest is the last to go, also where it takes the place of an older one.
    this.#calls.delete(key);
    this.#calls.set(key, { call, expiresAt });
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > CONTINUATIONS_MAX && oldest !== undefined) this.#calls.delete(oldest);
  }

  /** The approved call that this message continues, once, as long as it has not expired. */
  take({ params }: RequestEnvelope, { bindingHash, state, now }: Sought): ApprovedCall | undefined {
    if (state === undefined && memberOf(params, "inputResponses") === undefined) return undefined;
    const key = keyOf(bindingHash, state);
    const found = this.#calls.get(key);
    this.#calls.delete(key);
    return found !== undefined && found.expiresAt > now ? found.call : undefined;
  }

  /** Forgets those that nobody came back for in time. */
  expire(now: number): void {
    for (const [key, { expiresAt }] of this.#calls) if (expiresAt <= now) this.#calls.delete(key);
  }
}

function keyOf(bindingHash: string, state: string | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify([bindingHash, state ?? null]))
    .digest("base64");
}
