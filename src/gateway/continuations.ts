import { createHash } from "node:crypto";
import { memberOf, textAt, type RequestEnvelope, type ResponseEnvelope } from "./envelope/envelope.ts";
import type { HeldCall } from "./approvals.ts";

/** Of an approved call: what ties its events together, and everything that its approval was bound to, as one text. */
export interface ApprovedCall {
  readonly correlationId: string;
  readonly approvalId: string;
  readonly boundTo: string;
}

interface Sought {
  readonly boundTo: string;
  /** The upstream's own. */
  readonly state: string | undefined;
  readonly since: number;
}

/** More than people approve in the time that one of these is used in. */
const CONTINUATIONS_MAX = 10_000;

/**
 * Approved calls whose upstream asked something back (2026-07-28, `input_required`): the client's next message is the same
 * dispatch, not another one. Kept on this node only: elsewhere, and after a restart, such a message is held anew.
 */
export class Continuations {
  readonly #calls = new Map<string, { readonly call: ApprovedCall; readonly at: number }>();

  /** Notes what the upstream's answer to an approved call issued, if it asks for more. */
  note({ bytes, result }: ResponseEnvelope, call: ApprovedCall, at: number): void {
    if (textAt(bytes, memberOf(result, "resultType")) !== "input_required") return;
    this.#calls.set(keyOf(call.boundTo, textAt(bytes, memberOf(result, "requestState"))), { call, at });
    const [oldest] = this.#calls.keys();
    if (this.#calls.size > CONTINUATIONS_MAX && oldest !== undefined) this.#calls.delete(oldest);
  }

  /** The approved call that this message continues, once, if its upstream asked no earlier than `since`. */
  take({ params }: RequestEnvelope, { boundTo, state, since }: Sought): ApprovedCall | undefined {
    if (state === undefined && memberOf(params, "inputResponses") === undefined) return undefined;
    const key = keyOf(boundTo, state);
    const found = this.#calls.get(key);
    this.#calls.delete(key);
    return found !== undefined && found.at >= since ? found.call : undefined;
  }
}

/** What an approval is bound to (contract section 5), as one text. */
export function bindingOf({ agent, member, server, action, target, toolDigest, argumentsHash }: HeldCall): string {
  const parts = [agent.id, member?.id, server?.id, action, target.type, target.name, toolDigest, argumentsHash];
  return JSON.stringify(parts.map((part) => part ?? null));
}

function keyOf(boundTo: string, state: string | undefined): string {
  return createHash("sha256")
    .update(JSON.stringify([boundTo, state ?? null]))
    .digest("base64");
}
