import { parseUpstreamEnvelope, type Envelope } from "../envelope/envelope.ts";
import { RpcRefusal } from "../rpc-refusal.ts";
import type { UpstreamFault } from "../upstream.ts";

/** A two-way line of JSON-RPC messages to one upstream, for one session: a child's standard streams, or a legacy event stream. */
export interface MessageChannel {
  /**
   * Sends one message; what cannot be sent ends the channel. `onTaken` is called once, when the message does not wait here any
   * more: the server has taken it, or never will.
   */
  send(message: Buffer, onTaken?: () => void): void;
  pause(): void;
  resume(): void;
  /** Ends it; the listener hears nothing more. */
  close(): void;
}

export interface ChannelListener {
  message(bytes: Buffer): void;
  /** The channel has ended by itself. */
  closed(fault: UpstreamFault): void;
}

/** Longest message on a channel: what the gateway accepts as an answer. */
export const MESSAGE_BYTES_MAX = 32 * 1024 * 1024;

/** An answer that the gateway does not accept: to a client it could say something else than what was decided on. */
export const UNREADABLE_ANSWER: UpstreamFault = { kind: "refused", text: "its answer is no JSON-RPC message" };

/** Undefined for bytes that are no message, or none that every parser reads alike: the client must not see them. */
export function parseMessage(bytes: Buffer): Envelope | undefined {
  try {
    return parseUpstreamEnvelope(bytes);
  } catch (error) {
    if (error instanceof RpcRefusal) return undefined;
    throw error;
  }
}
