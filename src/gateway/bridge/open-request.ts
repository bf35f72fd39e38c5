import {
  memberOf,
  membersAt,
  valueAt,
  type RequestEnvelope,
  type ResponseEnvelope,
  type RpcId,
} from "../envelope/envelope.ts";
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
  #hasFailed = false;

  constructor(envelope: RequestEnvelope, sink: UpstreamSink, sessionId: string) {
    const meta = { members: membersAt(envelope.bytes, memberOf(envelope.params, "_meta")) };
    this.id = envelope.id;
    this.sink = sink;
    this.progressToken = valueAt(envelope.bytes, memberOf(meta, "progressToken"));
    this.isOpening = envelope.method === "initialize";
    this.#sessionId = sessionId;
    this.#timer = setTimeout(() => this.#attempt(() => this.#beginStream(true)), QUICK_MS);
  }

  /** Passes on what the server says before its answer. */
  tell(bytes: Buffer): void {
    this.#attempt(() => {
      this.#beginStream(false);
      this.sink.data(messageEvent(bytes));
    });
  }

  answer(envelope: ResponseEnvelope): void {
    this.#attempt(() => {
      if (this.#isStream) return this.sink.data(messageEvent(envelope.bytes));
      this.#head("application/json", { isOurs: false, opens: envelope.error === undefined });
      this.sink.data(envelope.bytes, envelope);
    });
  }

  /** After its answer, or where the client took the request back. */
  end(how?: "cancelled"): void {
    if (this.#hasFailed) return;
    this.#attempt(() => {
      if (how === "cancelled") this.#beginStream(true);
      this.drop();
      this.sink.end(how);
    });
  }

  fail(fault: UpstreamFault): void {
    this.#hasFailed = true;
    this.drop();
    this.sink.fail(fault);
  }

  /** Nobody wants to hear of it any more. */
  drop(): void {
    clearTimeout(this.#timer);
  }

  /** `isOurs`: the server has said nothing yet. */
  #beginStream(isOurs: boolean): void {
    if (this.#isStream) return;
    this.#isStream = true;
    this.#head("text/event-stream", { isOurs, opens: true });
  }

  /** `opens`: an answer to `initialize` may begin the session. */
  #head(contentType: string, { isOurs, opens }: { isOurs: boolean; opens: boolean }): void {
    clearTimeout(this.#timer);
    const session = this.isOpening && opens ? { "mcp-session-id": this.#sessionId } : {};
    this.sink.head(200, { "content-type": contentType, ...session }, isOurs);
  }

  /** A mistake of ours over one answer MUST NOT end what it came by, which is everybody's: the client must not wait for ever. */
  #attempt(work: () => void): void {
    try {
      work();
    } catch (cause) {
      this.fail({ kind: "refused", text: "its answer could not be read", cause });
    }
  }
}
