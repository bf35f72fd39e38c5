import { one } from "../http/request-headers.ts";
import { IGNORED_BYTES_MAX } from "../ignored-answer.ts";
import { SseOverflowError, SseParser } from "../sse.ts";
import type { Upstream, UpstreamCall, UpstreamFault, UpstreamSink } from "../upstream.ts";
import { MESSAGE_BYTES_MAX, type ChannelListener, type MessageChannel } from "./message-channel.ts";
import { WAITING_BYTES_MAX, WaitingMessages } from "./waiting-messages.ts";

/** Reaches addresses of one server with its credential. */
export type ReachUrl = (url: URL) => Upstream;

/** The endpoint is the first event, and a server that has sent its head knows it. */
const ENDPOINT_MS = 10_000;

/** The HTTP with SSE transport of 2024-11-05: one stream down, whose first event says where messages go up. */
export class SseChannel implements MessageChannel, UpstreamSink {
  readonly #url: URL;
  readonly #reach: ReachUrl;
  readonly #listener: ChannelListener;
  readonly #parser = new SseParser(MESSAGE_BYTES_MAX);
  readonly #stream: UpstreamCall;
  readonly #waiting = new WaitingMessages();
  #endpoint: Upstream | undefined;
  #endpointTimer: NodeJS.Timeout | undefined;
  readonly #sent = new Set<SentMessage>();
  /** Of messages that were sent up and not yet taken. */
  #untakenBytes = 0;
  #isClosed = false;

  constructor(url: URL, reach: ReachUrl, listener: ChannelListener) {
    this.#url = url;
    this.#reach = reach;
    this.#listener = listener;
    this.#stream = reach(url).send({ method: "GET", headers: ["accept", "text/event-stream"] }, this);
  }

  send(message: Buffer, onTaken?: () => void): void {
    if (this.#isClosed) return onTaken?.();
    if (this.#endpoint !== undefined) return this.#post(this.#endpoint, message, onTaken);
    if (this.#waiting.add(message, onTaken)) return;
    onTaken?.();
    this.fail({ kind: "unavailable", text: "it takes too long to name its endpoint" });
  }

  pause(): void {
    this.#stream.pause();
  }

  resume(): void {
    this.#stream.resume();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#endpointTimer);
    this.#waiting.drop();
    for (const message of this.#sent) message.stop();
    this.#stream.abort();
  }

  head(status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    if (status === 401 || status === 403)
      return this.fail({ kind: "credential", text: `it refused the gateway's credential (HTTP ${status})` });
    const isStream = one(headers["content-type"])?.startsWith("text/event-stream") === true;
    if (status !== 200 || !isStream)
      return this.fail({ kind: "refused", text: `it gave no event stream (HTTP ${status})` });
    const fault = { kind: "timeout", text: "it named no endpoint for messages" } as const;
    this.#endpointTimer = setTimeout(() => this.fail(fault), ENDPOINT_MS);
  }

  data(chunk: Buffer): void {
    try {
      for (const { type, data } of this.#parser.push(chunk)) {
        if (this.#isClosed) return;
        if (type === "endpoint") this.#connect(data?.toString("utf8") ?? "");
        else if (data !== undefined && (type === undefined || type === "message")) this.#listener.message(data);
      }
    } catch (error) {
      if (!(error instanceof SseOverflowError)) throw error;
      this.fail({ kind: "refused", text: "a message of it is too large" });
    }
  }

  end(): void {
    this.fail({ kind: "reset", text: "its event stream ended" });
  }

  fail(fault: UpstreamFault): void {
    if (this.#isClosed) return;
    this.close();
    this.#listener.closed(fault);
  }

  #connect(endpoint: string): void {
    const url = URL.canParse(endpoint, this.#url.href) ? new URL(endpoint, this.#url) : undefined;
    // The credential goes to the registered origin and nowhere else, whatever the stream says.
    if (url?.origin !== this.#url.origin)
      return this.fail({ kind: "refused", text: "its message endpoint is elsewhere" });
    clearTimeout(this.#endpointTimer);
    this.#endpoint = this.#reach(url);
    for (const { message, onTaken } of this.#waiting.take()) this.send(message, onTaken);
  }

  #post(endpoint: Upstream, message: Buffer, onTaken: (() => void) | undefined): void {
    if (this.#untakenBytes + message.length > WAITING_BYTES_MAX) {
      onTaken?.();
      return this.fail({ kind: "refused", text: "it does not take its messages" });
    }
    this.#untakenBytes += message.length;
    const headers = ["content-type", "application/json"];
    const sent = new SentMessage({
      onTaken: (fault) => {
        this.#untakenBytes -= message.length;
        onTaken?.();
        if (fault !== undefined) this.fail(fault);
      },
      onOver: () => this.#sent.delete(sent),
    });
    this.#sent.add(sent);
    sent.follow(endpoint.send({ method: "POST", headers, body: message }, sent));
  }
}

interface SentListener {
  /** Called once: the server has the message, never will, or nobody wants to know any more. */
  readonly onTaken: (fault: UpstreamFault | undefined) => void;
  /** Called once: nothing more comes. */
  readonly onOver: () => void;
}

/** The answer to a message sent up says only whether it was taken; its body, usually the word `Accepted`, need not come to an end. */
class SentMessage implements UpstreamSink {
  readonly #listener: SentListener;
  #call: UpstreamCall | undefined;
  #bytes = 0;
  #isTaken = false;
  #isOver = false;

  constructor(listener: SentListener) {
    this.#listener = listener;
  }

  /** The answer may have come before. */
  follow(call: UpstreamCall): void {
    if (this.#isOver) call.abort();
    else this.#call = call;
  }

  stop(): void {
    this.#call?.abort();
    this.#take(undefined);
    this.#over();
  }

  head(status: number): void {
    this.#take(status < 300 ? undefined : { kind: "refused", text: `it did not take a message (HTTP ${status})` });
  }

  data(chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > IGNORED_BYTES_MAX) this.stop();
  }

  end(): void {
    this.#over();
  }

  fail(fault: UpstreamFault): void {
    this.#take(fault);
    this.#over();
  }

  #take(fault: UpstreamFault | undefined): void {
    if (this.#isTaken) return;
    this.#isTaken = true;
    this.#listener.onTaken(fault);
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#listener.onOver();
  }
}
