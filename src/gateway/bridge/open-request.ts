import type { RequestEnvelope, ResponseEnvelope, RpcId } from "../envelope/envelope.ts";
import { memberOf, membersAt, valueAt } from "../envelope/envelope.ts";
import { messageEvent } from "../sse.ts";
import type { UpstreamFault, UpstreamSink } from "../upstream.ts";

/** A client that waits longer wants to know that it is connected. */
const QUICK_MS = 20;

/**
 * A request that its server has not answered yet. A quick answer that comes alone is given as one message of JSON; what takes
 * longer, or is told something before, gets an event stream.
 */
export class OpenRequest {
  readonly id: RpcId;
  readonly sink: UpstreamSink;
  readonly progressToken: unknown;
  /** Without an answer to it there is no session. */
  readonly isOpening: boolean;
  readonly #sessionId: string;
  readonly #timer: NodeJS.Timeout;
  #isStream = false;

  constructor(envelope: RequestEnvelope, sink: UpstreamSink, sessionId: string) {
    const meta = { members: membersAt(envelope.bytes, memberOf(envelope.params, "_meta")) };
    this.id = envelope.id;
    this.sink = sink;
    this.progressToken = valueAt(envelope.bytes, memberOf(meta, "progressToken"));
    this.isOpening = envelope.method === "initialize";
    this.#sessionId = sessionId;
    this.#timer = setTimeout(() => this.#beginStream(true), QUICK_MS);
  }

  /** Passes on what the server says before its answer. */
  tell(bytes: Buffer): void {
    this.#beginStream(false);
    this.sink.data(messageEvent(bytes));
  }

  answer(envelope: ResponseEnvelope): void {
    if (this.#isStream) return this.sink.data(messageEvent(envelope.bytes));
    this.#head("application/json", false);
    this.sink.data(envelope.bytes, envelope);
  }

  /** After its answer, or where the client took the request back. */
  end(how?: "cancelled"): void {
    if (how === "cancelled") this.#beginStream(true);
    this.drop();
    this.sink.end(how);
  }

  fail(fault: UpstreamFault): void {
    this.drop();
    this.sink.fail(fault);
  }

  /** Nobody wants to hear of it any more. */
  drop(): void {
    clearTimeout(this.#timer);
  }

  #beginStream(isOurs: boolean): void {
    if (this.#isStream) return;
    this.#isStream = true;
    this.#head("text/event-stream", isOurs);
  }

  #head(contentType: string, isOurs: boolean): void {
    clearTimeout(this.#timer);
    const session = this.isOpening ? { "mcp-session-id": this.#sessionId } : {};
    this.sink.head(200, { "content-type": contentType, ...session }, isOurs);
  }
}
